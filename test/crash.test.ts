/** Over SFTP; the other kinds of endpoint have theirs in their folders. */

import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { crash } from './support/crash.ts';
import { endpointOf } from './support/ferry.ts';
import { sha256OfFile } from './support/files.ts';
import { startSshd } from './support/sshd.ts';

const KILLS = 50;

test(`killed ${KILLS} times while files keep coming, nothing is lost, torn or left behind`, {
  timeout: 600_000,
}, async () => {
  await using server = await startSshd();
  const path = join(server.folder, 'inbox');
  await mkdir(path);
  const site = {
    endpoint: endpointOf(server),
    path,
    names: () => readdir(path),
    sha256: (name: string) => sha256OfFile(join(path, name)),
  };
  await crash(site, KILLS);
});
