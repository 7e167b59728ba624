/** What `npm run build` makes of the source is a program that runs as JavaScript. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from './support/files.ts';

const root = join(import.meta.dirname, '..');

test('the compiled ferry reads its configuration and runs', async () => {
  await using folder = await temporaryFolder('build');
  const dist = join(folder.path, 'dist');
  const tsc = join(root, 'node_modules/.bin/tsc');
  const build = spawnSync(tsc, ['-p', 'tsconfig.build.json', '--outDir', dist], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(build.stdout + build.stderr, '');
  assert.deepEqual(globSync('**/*.map', { cwd: dist }), [], 'maps are of no use without what they lead to');
  for (const name of ['node_modules', 'package.json'])
    await symlink(join(root, name), join(folder.path, name));

  const env = {
    ...process.env,
    FERRY_JOBS: join(folder.path, 'jobs'),
    FERRY_DATA: join(folder.path, 'data'),
  };
  const ferry = (...args: readonly string[]) =>
    spawnSync(process.execPath, [join(dist, 'cli/main.js'), ...args], {
      cwd: folder.path,
      env,
      encoding: 'utf8',
    });
  const init = ferry('init');
  assert.equal(init.status, 0, init.stderr);
  const check = ferry('check', '--json');
  assert.equal(check.status, 0, check.stderr + check.stdout);
});
