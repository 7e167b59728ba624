/** The `ferry` command as a package brings it, and what it says where the system's Node is too old. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../support/files.ts';

const root = join(import.meta.dirname, '..', '..');
const ferry = join(root, 'src/install/ferry.cjs');

/** Preloaded before anything of ours: as if an older Node ran, in this process but in none that it starts. */
const PRETEND = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });`;

/** A package as npm installs it, with a main.js that tells what reached it. */
async function installed(
  path: string,
  withNode: boolean,
): Promise<{ readonly command: string; readonly old: string }> {
  const home = join(path, 'node_modules', 'ferry');
  await mkdir(join(home, 'dist', 'cli'), { recursive: true });
  await cp(join(root, 'src/install'), join(home, 'src/install'), { recursive: true });
  await writeFile(join(home, 'package.json'), JSON.stringify({ name: 'ferry', type: 'module' }));
  await writeFile(
    join(home, 'dist', 'cli', 'main.js'),
    `if (process.argv[2] === 'wait') {
       const waiting = setTimeout(() => {}, 60_000);
       process.on('SIGTERM', () => { clearTimeout(waiting); process.exitCode = 7; });
     }
     process.stdout.write([process.versions.node, ...process.argv.slice(2)].join(' ') + '\\n');`,
  );
  if (withNode) {
    const name = `node-${process.platform}-${process.arch}`;
    await mkdir(join(path, 'node_modules', name, 'bin'), { recursive: true });
    await writeFile(join(path, 'node_modules', name, 'package.json'), JSON.stringify({ name }));
    await symlink(process.execPath, join(path, 'node_modules', name, 'bin', 'node'));
  }
  const old = join(path, 'old.cjs');
  await writeFile(old, PRETEND);
  return { command: join(home, 'src/install/ferry.cjs'), old };
}

test('an npm script says that Node is too old, before main.ts is read', async () => {
  await using folder = await temporaryFolder('install');
  const old = join(folder.path, 'old.cjs');
  await writeFile(old, PRETEND);
  // What comes after would be a syntax error for an older Node.
  const broken = join(folder.path, 'main.ts');
  await writeFile(broken, 'this is not JavaScript');
  const ended = spawnSync(process.execPath, ['-r', old, '-r', ferry, broken], { encoding: 'utf8' });
  assert.equal(ended.status, 2);
  assert.equal(ended.stdout, '');
  assert.match(ended.stderr, /^Ferry needs Node 24 or newer; this is Node 20\.20\.2 .*\n$/);
});

test('installed, it runs main.js with the Node that started it', async () => {
  await using folder = await temporaryFolder('install');
  const { command } = await installed(folder.path, false);
  const ended = spawnSync(process.execPath, [command, 'run', 'a b'], { encoding: 'utf8' });
  assert.equal(ended.stdout, `${process.versions.node} run a b\n`);
  assert.equal(ended.status, 0);
});

test('started by an older Node, it goes on with the one that npm brought along', async () => {
  await using folder = await temporaryFolder('install');
  const { command, old } = await installed(folder.path, true);
  const ended = spawnSync(process.execPath, ['-r', old, command, 'run'], { encoding: 'utf8' });
  assert.equal(ended.stderr, '');
  assert.equal(ended.stdout, `${process.versions.node} run\n`);
  assert.equal(ended.status, 0);
});

test('a stop reaches that other Node, and its exit code comes back', async () => {
  await using folder = await temporaryFolder('install');
  const { command, old } = await installed(folder.path, true);
  const child = spawn(process.execPath, ['-r', old, command, 'wait'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  const [code] = await once(child, 'close');
  assert.equal(code, 7);
});

test('started by an older Node with no other at hand, it says so', async () => {
  await using folder = await temporaryFolder('install');
  const { command, old } = await installed(folder.path, false);
  const ended = spawnSync(process.execPath, ['-r', old, command, 'run'], { encoding: 'utf8' });
  assert.equal(ended.status, 2);
  assert.match(ended.stderr, /^Ferry needs Node 24 or newer/);
});
