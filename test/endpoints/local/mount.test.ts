import assert from 'node:assert/strict';
import { mkdir, realpath, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { createLocal } from '../../../src/endpoints/local/endpoint.ts';
import { faultOf } from '../../contract/endpoint/kit.ts';
import { temporaryFolder } from '../../support/files.ts';
import { mountTmpfs } from '../../support/tmpfs.ts';
import { localSetup, signal } from './kit.ts';

test('the mount of a folder is the nearest one at or above it', async () => {
  await using outer = await temporaryFolder();
  await mkdir(join(outer.path, 'share'));
  await using disk = await mountTmpfs(100_000, join(outer.path, 'share'));
  await mkdir(join(disk.path, 'a', 'b'), { recursive: true });
  await symlink(join(disk.path, 'a'), join(outer.path, 'link'));
  await using session = await createLocal({ path: outer.path }, { name: 'outer' }).connect(signal);
  const real = await realpath(outer.path);
  const point = join(real, 'share');
  const expected: Record<string, object> = {
    share: { folder: point, point },
    'share/a/b': { folder: join(point, 'a/b'), point },
    'share/a/missing/too': { folder: join(point, 'a/missing/too'), point },
    'link/b': { folder: join(point, 'a/b'), point },
    '': { folder: real, point: await mountPoint(real) },
  };
  for (const [folder, mount] of Object.entries(expected))
    assert.deepEqual(await session.mount?.(folder, { signal }), mount, folder);
});

test('a root that is gone has no mount', async () => {
  await using s = await localSetup();
  await rm(s.root, { recursive: true });
  const { session } = s;
  assert.ok(session.mount);
  await faultOf(session.mount('', { signal }), 'unreachable');
  await mkdir(s.root);
});

/** As mountpoint(1) finds it. */
async function mountPoint(folder: string): Promise<string> {
  const above = dirname(folder);
  if (above === folder || (await stat(above)).dev !== (await stat(folder)).dev) return folder;
  return mountPoint(above);
}
