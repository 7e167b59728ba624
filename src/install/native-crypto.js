/**
 * npm's postinstall: builds ssh2's native crypto (`sshcrypto.node`) for the Node that will run Ferry, where it is
 * not there or was built for another one. Without it ssh2 silently falls back to JavaScript, several times slower.
 *
 * Plain JavaScript, because Node strips no types inside node_modules, where this runs when Ferry is installed
 * as a package; and outside main.ts the one reader of the environment, for what npm tells its scripts. It is
 * quiet when all is well, says in one line what is wrong otherwise, and never makes an install fail.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(import.meta.url);
const require = createRequire(here);
const again = here.includes(`${sep}node_modules${sep}`) ? `node ${here}` : 'npm run postinstall';

const { bundledNode, newEnough } = require('./node-24.cjs');

linkBundledNode();
if (newEnough) {
  const problem = ensureNativeCrypto();
  if (problem !== undefined) console.warn(`ferry: ${problem}`);
} else if (bundledNode() !== undefined) {
  spawnSync(bundledNode(), [here], { stdio: 'inherit' });
}

/**
 * npm 10 puts the Node that it installed on the PATH of scripts, and takes it away again with the ones for other
 * platforms that it skipped, because their commands have the same name.
 */
function linkBundledNode() {
  const node = bundledNode();
  if (node === undefined || process.platform === 'win32') return;
  const link = join(dirname(node), '..', '..', '.bin', 'node');
  if (existsSync(dirname(link)) && !existsSync(link)) symlinkSync(relative(dirname(link), node), link);
}

/** @returns {string | undefined} what is wrong and what to do, or undefined when the native crypto loads */
function ensureNativeCrypto() {
  const folder = join(dirname(require.resolve('ssh2/package.json')), 'lib', 'protocol', 'crypto');
  if (loads(folder)) return undefined;

  const missing =
    process.platform === 'win32' ? [] : ['python3', 'make', 'g++'].filter((tool) => !onPath(tool));
  const slow = "ssh2's native crypto is not built, so transfers will be slow";
  if (missing.length > 0) {
    return `${slow}: no ${missing.join(', no ')} here. Do: apt-get install python3 make g++ && ${again}`;
  }
  const nodeGyp = findNodeGyp();
  if (nodeGyp === undefined) return `${slow}: npm's node-gyp was not found. Do: ${again}`;

  const built = build(folder, nodeGyp);
  if (loads(folder)) return undefined;
  const lines = `${built.error ?? ''}\n${built.stdout}\n${built.stderr}`.split('\n');
  const reason = lines.filter((line) => /error/i.test(line)).at(-1) ?? `node-gyp ended with ${built.status}`;
  return `${slow}: ${reason.trim()}. To try again: ${again}`;
}

/**
 * In a process of its own: a library that failed to load once may not load again in the same one. One that was built
 * without object-wrap.h would load, and abort the process later.
 */
function loads(folder) {
  const file = join(folder, 'build', 'Release', 'sshcrypto.node');
  if (!existsSync(file) || readFileSync(file).includes('RemoveEnvironmentCleanupHook')) return false;
  return (
    spawnSync(process.execPath, ['-e', `require(${JSON.stringify(file)})`], { stdio: 'ignore' }).status === 0
  );
}

/** ssh2's own install script in one call, with the headers that belong to this very Node where they are at hand. */
function build(folder, nodeGyp) {
  const headers = dirname(dirname(realpathSync(process.execPath)));
  const openssl = process.versions.openssl.split('.')[0];
  return spawnSync(
    process.execPath,
    [nodeGyp, 'rebuild', `--target=${process.version}`, `--real_openssl_major=${openssl}`],
    {
      cwd: folder,
      encoding: 'utf8',
      timeout: 300_000,
      // node-gyp lets the environment win over its arguments, and npm puts a person's `nodedir` there.
      env: {
        ...process.env,
        ...(hasHeaders(headers) ? { npm_config_nodedir: headers } : {}),
        CXXFLAGS: `${process.env.CXXFLAGS ?? ''} -include ${objectWrap(folder)}`,
      },
    },
  );
}

/** From where the compiler runs, so that a space in the path of the whole does not matter. */
function objectWrap(folder) {
  return relative(join(realpathSync(folder), 'build'), join(dirname(realpathSync(here)), 'object-wrap.h'));
}

function hasHeaders(root) {
  const file = join(root, 'include', 'node', 'node_version.h');
  if (!existsSync(file)) return false;
  const text = readFileSync(file, 'utf8');
  return ['MAJOR', 'MINOR', 'PATCH'].every(
    (part, index) =>
      new RegExp(`#define NODE_${part}_VERSION (\\d+)`).exec(text)?.[1] ===
      process.versions.node.split('.')[index],
  );
}

/** npm names its node-gyp to the scripts it runs; started by hand, it is looked for beside npm. */
function findNodeGyp() {
  const named = process.env.npm_config_node_gyp;
  if (named !== undefined && existsSync(named)) return named;
  const npm = onPath('npm');
  if (npm === undefined) return undefined;
  const beside = join(dirname(dirname(realpathSync(npm))), 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  return existsSync(beside) ? beside : undefined;
}

function onPath(tool) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, tool))
    .find((file) => existsSync(file));
}
