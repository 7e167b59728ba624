/** How soon a file that is dropped into a watched folder stands under its final name at the server. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeHome } from '../support/ferry.ts';
import type { Site } from './site.ts';

const SETTLE_MS = 1_000;
const LATE_MS = 30_000;
const LOOK_EVERY_MS = 1;

/** Milliseconds from close to final name, less `settle`, of each drop. */
export async function measureDrops(site: Site, drops: number): Promise<readonly number[]> {
  await using home = await makeHome();
  const { host, port, user, keyFile, fingerprint } = await site.sftp(0);
  await using folder = await site.remoteFolder('sftp');
  const remote = folder.path;
  await home.endpoints({ far: { type: 'sftp', host, port, user, key: keyFile, hostKey: [fingerprint] } });
  await home.job('drops', {
    from: home.outbox,
    to: { endpoint: 'far', path: remote },
    when: { watch: true },
    settle: `${SETTLE_MS}ms`,
  });
  await home.worker();
  const times: number[] = [];
  for (let drop = 0; drop < drops; drop += 1) {
    times.push((await dropOne(home.outbox, remote, `drop-${drop}.bin`)) - SETTLE_MS);
    await sleep((drop * 137) % 500); // so that no beat of ours coincides with one of Ferry's
  }
  return times;
}

async function dropOne(outbox: string, remote: string, name: string): Promise<number> {
  writeFileSync(join(outbox, name), `a dropped file, ${name}`);
  const closed = performance.now();
  while (!existsSync(join(remote, name))) {
    if (performance.now() - closed > LATE_MS) throw new Error(`${name} has not arrived after ${LATE_MS} ms`);
    await sleep(LOOK_EVERY_MS);
  }
  return performance.now() - closed;
}
