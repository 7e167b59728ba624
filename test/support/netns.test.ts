/** Hosts in network namespaces leave nothing, also when whoever made them is killed. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { descendantsOf } from './processes.ts';
import { until } from './until.ts';

/** Makes a host with a server in it, says so, and waits to be killed. */
const OWNER = `
  import { spawn } from 'node:child_process';
  const { makeHost, connectHosts } = await import(process.argv[1]);
  try {
    const [one, other] = [await makeHost('one'), await makeHost('other')];
    await connectHosts([one, '10.77.9.1/24'], [other, '10.77.9.2/24']);
    const [program, ...args] = [...other.inside, 'sleep', '1000'];
    spawn(program, args, { stdio: 'ignore' }).once('spawn', () => console.log('ready'));
    const [inner, ...rest] = [...one.within, 'sleep', '1000'];
    spawn(inner, rest, { stdio: 'ignore' });
  } catch (error) {
    console.log('refused: ' + error.message);
  }
  setInterval(() => undefined, 1000);
`;

test('everything on a host ends with its owner, even when that is killed', async (t) => {
  const module = new URL('./netns.ts', import.meta.url).href;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', OWNER, module], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await once(owner.stdout, 'data');
  const { pid = 0 } = owner;
  const refused = /^refused: (.*)/.exec(String(said))?.[1];
  if (refused !== undefined) t.diagnostic(`note: network namespaces cannot be made here: ${refused}`);
  const below = await descendantsOf(pid);
  if (refused === undefined) assert.ok(below.length >= 6, `${below.length} processes below`);
  owner.kill('SIGKILL');
  await until('all of it to end', () => !below.some((each) => existsSync(`/proc/${each}`)));
});
