/** npm's postinstall: builds ssh2's native crypto, or says in one line why it cannot, and never fails. */

import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { appendFile, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../support/files.ts';

const root = join(import.meta.dirname, '..', '..');
const require = createRequire(import.meta.url);
const packages = dirname(dirname(require.resolve('ssh2/package.json')));

/** A checkout with ssh2 as npm unpacks it: nothing built. */
async function checkout(path: string): Promise<string> {
  await cp(join(root, 'src/install'), join(path, 'src/install'), { recursive: true });
  await writeFile(join(path, 'package.json'), JSON.stringify({ type: 'module' }));
  await mkdir(join(path, 'node_modules'));
  await cp(join(packages, 'ssh2'), join(path, 'node_modules/ssh2'), { recursive: true });
  await rm(join(path, 'node_modules/ssh2/lib/protocol/crypto/build'), { recursive: true, force: true });
  await symlink(join(packages, 'nan'), join(path, 'node_modules/nan'));
  return join(path, 'node_modules/ssh2/lib/protocol/crypto/build/Release/sshcrypto.node');
}

function postinstall(path: string, changes: NodeJS.ProcessEnv): SpawnSyncReturns<string> {
  const env = { ...process.env, ...changes };
  return spawnSync(process.execPath, ['src/install/native-crypto.js'], { cwd: path, env, encoding: 'utf8' });
}

function loads(file: string): boolean {
  return spawnSync(process.execPath, ['-e', `require(${JSON.stringify(file)})`]).status === 0;
}

test('builds it for the Node that runs, whatever was there and whatever headers npm was told to use, and is quiet', async () => {
  await using folder = await temporaryFolder('install');
  const file = await checkout(folder.path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, 'built for something else');
  const ended = postinstall(folder.path, { npm_config_nodedir: join(folder.path, 'no', 'headers') });
  assert.equal(ended.stderr + ended.stdout, '');
  assert.equal(ended.status, 0);
  assert.equal(loads(file), true);
});

test('rebuilds one whose ciphers, once collected, would abort the process', async () => {
  await using folder = await temporaryFolder('install');
  const file = await checkout(folder.path);
  postinstall(folder.path, {});
  assert.doesNotMatch(await readFile(file, 'latin1'), /RemoveEnvironmentCleanupHook/);
  await appendFile(file, 'RemoveEnvironmentCleanupHook'); // it loads all the same
  assert.equal(loads(file), true);
  postinstall(folder.path, {});
  assert.equal(loads(file), true);
  assert.doesNotMatch(await readFile(file, 'latin1'), /RemoveEnvironmentCleanupHook/);
});

test('without a compiler it names what to install, in one line, and does not fail', async () => {
  await using folder = await temporaryFolder('install');
  await checkout(folder.path);
  const ended = postinstall(folder.path, { PATH: folder.path });
  assert.equal(ended.status, 0);
  assert.equal(ended.stdout, '');
  assert.match(ended.stderr, /^ferry: .*apt-get install python3 make g\+\+ && npm run postinstall\n$/);
});

test('says what went wrong in a build, in one line, and does not fail', async () => {
  await using folder = await temporaryFolder('install');
  await checkout(folder.path);
  await writeFile(
    join(folder.path, 'node_modules/ssh2/lib/protocol/crypto/src/binding.cc'),
    '#error no such luck',
  );
  const ended = postinstall(folder.path, {});
  assert.equal(ended.status, 0);
  assert.match(ended.stderr, /^ferry: ssh2's native crypto is not built, .*\n$/);
});
