/** The system's own limits, made small in a user namespace of the watching process alone. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../support/files.ts';
import { killTree } from '../support/processes.ts';
import { until } from '../support/until.ts';

const CHILD = fileURLToPath(new URL('limited.ts', import.meta.url));

interface Told {
  readonly paths?: readonly string[];
  readonly whole?: string;
  readonly alarm?: string;
  readonly advice?: string;
  readonly ready?: number;
  readonly engine?: string;
}

/** @param setting of /proc/sys/user, counted in each user namespace */
async function watchWith(setting: string, limit: number, folder: string) {
  const child = spawn(
    'unshare',
    [
      ...[
        '--user',
        '--map-root-user',
        'sh',
        '-c',
        'echo "$1" > "/proc/sys/user/$2" && exec "$3" "$4" "$5"',
        'sh',
      ],
      ...[String(limit), setting, process.execPath, CHILD, folder],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const told: Told[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => told.push(JSON.parse(line)));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return {
    told,
    seen: (what: string, is: (told: Told) => boolean) => until(what, () => told.find(is)),
    /** As `Watching.followed`. */
    followed: async (file: string, path: string) => {
      const named = async (): Promise<boolean> => {
        await writeFile(file, 'x');
        return told.some(({ paths }) => paths?.includes(path) === true);
      };
      await until(`a hint about exactly ${path}`, named, { everyMs: 100 });
    },
    /** Resolves to the exit code when the watcher, asked to stop, has let go of everything. */
    end: () => {
      child.stdin.end();
      return ended;
    },
    [Symbol.asyncDispose]: () => killTree(child),
  };
}

test('fewer watches than folders: an alarm with the remedy, looks at the whole meanwhile, all clear by itself', async () => {
  await using root = await temporaryFolder('watch');
  for (let at = 0; at < 30; at += 1) await mkdir(join(root.path, `d${at}`));
  await using watching = await watchWith('max_inotify_watches', 10, root.path);
  const { ready } = await watching.seen('ready', (told) => told.ready !== undefined);
  assert.equal(ready, 10);
  const { alarm, advice } = await watching.seen('an alarm', (told) => told.alarm !== undefined);
  assert.equal(alarm, 'ENOSPC');
  assert.match(advice ?? '', /fs\.inotify\.max_user_watches/);
  await until(
    'looks at the whole',
    () => watching.told.filter((told) => told.whole !== undefined).length >= 3,
  );
  for (let at = 0; at < 25; at += 1) await rm(join(root.path, `d${at}`), { recursive: true });
  await watching.seen('the all clear', (told) => told.alarm === 'over');
  await watching.followed(join(root.path, 'd29/file'), 'd29/file');
  assert.equal(
    watching.told.filter((told) => told.alarm !== undefined).length,
    2,
    'told when it changes, not each time',
  );
  assert.equal(await watching.end(), 0);
});

test('no watches at all: the remedy, and looks at the whole', async () => {
  await using root = await temporaryFolder('watch');
  await using watching = await watchWith('max_inotify_instances', 0, root.path);
  const { alarm, advice } = await watching.seen('an alarm', (told) => told.alarm !== undefined);
  assert.equal(alarm, 'EMFILE');
  assert.match(advice ?? '', /fs\.inotify\.max_user_instances/);
  await until(
    'looks at the whole',
    () => watching.told.filter((told) => told.whole !== undefined).length >= 3,
  );
  assert.equal(await watching.end(), 0);
});

test('fewer watches than files: folder by folder, without any alarm', async () => {
  await using root = await temporaryFolder('watch');
  await mkdir(join(root.path, 'sub'));
  await using watching = await watchWith('max_inotify_watches', 20, root.path);
  const { engine } = await watching.seen('ready', (told) => told.ready !== undefined);
  assert.equal(engine, 'chokidar');
  for (let at = 0; at < 40; at += 1) await writeFile(join(root.path, `sub/file-${at}`), 'x');
  await watching.seen('a look at the whole', (told) => told.whole?.includes('ENOSPC') === true);
  await watching.followed(join(root.path, 'sub/last'), 'sub/last');
  assert.deepEqual(
    watching.told.filter((told) => told.alarm !== undefined),
    [],
  );
  assert.equal(await watching.end(), 0);
});
