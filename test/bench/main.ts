/**
 * `npm run bench`: Ferry beside sftp, scp, lftp, rclone and curl, on the same work, in turn, each as a whole command
 * against one server on loopback. What arrived is compared with what was sent after every run.
 *
 *   npm run bench -- [--quick] [--only small-200,drop] [--tools ferry,sftp] [--rounds 5] [--json FILE]
 */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureSystem } from '../setup/system.ts';
import { killBelow } from '../support/processes.ts';
import { type Memory, measure } from './command.ts';
import { measureDrops } from './drop.ts';
import { DROP_ID, DROP_TITLE, WORKS, type Work } from './plan.ts';
import { judge, printResult, type Row } from './report.ts';
import { makeSite, proxyThroughput, type Site } from './site.ts';
import { FERRY_TOOL, type Tool } from './tools.ts';
import { type Folder, makeFolder, verifyCopy } from './work.ts';

/** A tool that has used up so much at a work does no further rounds of it. */
const ENOUGH_SECONDS = 90;
const DROPS = 20;
/** ext4 passes over inodes that were freed in the last minutes: so many files are left where they are until the end. */
const MANY_FILES = 100;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    tools: { type: 'string' },
    rounds: { type: 'string' },
    json: { type: 'string' },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const only = values.only?.split(',');
const wanted = values.tools?.split(',');

ensureSystem();
let stopped: Promise<void> | undefined;
try {
  process.exitCode = await main();
} catch (error) {
  if (stopped === undefined) throw error;
  await stopped; // the work fails as its folder is removed
}

async function main(): Promise<number> {
  const works = WORKS.filter((work) =>
    only === undefined ? !(values.quick && work.long) : only.includes(work.id),
  );
  const withDrops = only === undefined || only.includes(DROP_ID);
  if (works.length === 0 && !withDrops) {
    console.error(`--only takes ${[...WORKS.map((work) => work.id), DROP_ID].join(', ')}`);
    return 2;
  }
  await using site = await makeSite();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopped = killBelow(process.pid).then(() => site[Symbol.asyncDispose]());
      void stopped.finally(() => process.exit(130));
    });
  }
  for (const roundTripMs of new Set(works.map((work) => work.roundTripMs).filter((ms) => ms > 0))) {
    const bytesPerSecond = await proxyThroughput(roundTripMs);
    say(`the line with ${roundTripMs} ms carries ${Math.round(bytesPerSecond / 1e6)} MB/s on one connection`);
  }
  const rows: Row[] = [];
  for (const work of works) rows.push(...(await doWork(site, work)));
  if (withDrops) say(DROP_TITLE);
  const drops = withDrops ? await measureDrops(site, DROPS) : [];
  const result = judge(rows, drops);
  printResult(result, FERRY_TOOL.name);
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(result, undefined, 2)}\n`);
  return rows.some((row) => row.seconds.length === 0) ? 1 : 0;
}

async function doWork(site: Site, work: Work): Promise<readonly Row[]> {
  say(work.title);
  const source = join(site.path, work.id, 'files');
  const folder = await makeFolder(source, work.files, work.sizeBytes, work.perFolder);
  const tools = work.tools.filter(
    (tool) => wanted === undefined || wanted.some((name) => tool.name.startsWith(name)),
  );
  const figures = tools.map((tool) => ({
    tool,
    seconds: [] as number[],
    memory: [] as Memory[],
    failed: false,
  }));
  for (let round = 0; round < (work.memory === true ? 1 : rounds); round += 1) {
    for (const figure of figures) {
      const used = figure.seconds.reduce((sum, seconds) => sum + seconds, 0);
      if (figure.failed || used > ENOUGH_SECONDS) continue;
      try {
        const measured = await runOnce(site, work, figure.tool, folder);
        figure.seconds.push(measured.seconds);
        if (measured.memory !== undefined) figure.memory.push(measured.memory);
        say(`  ${figure.tool.name}: ${measured.seconds.toFixed(2)} s`);
      } catch (error) {
        figure.failed = true;
        say(`  ${figure.tool.name}: FAILED: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  if (work.files < MANY_FILES) await rm(source, { recursive: true, force: true });
  return figures.map(({ tool, seconds, memory, failed }) => ({
    work: work.id,
    title: work.title,
    tool: tool.name,
    seconds: failed ? [] : seconds,
    memory,
  }));
}

async function runOnce(
  site: Site,
  work: Work,
  tool: Tool,
  folder: Folder,
): Promise<{ readonly seconds: number; readonly memory: Memory | undefined }> {
  const scratch = join(site.path, 'scratch');
  const remote = await site.remoteFolder(work.place ?? 'sftp');
  try {
    await mkdir(scratch);
    const { roundTripMs } = work;
    const errand = { source: folder.path, remote: remote.path, site, roundTripMs, scratch };
    const command = await tool.command(errand);
    const { seconds, stdout, memory } = await measure(command, { memory: work.memory === true });
    tool.check?.(stdout, folder.files.size);
    await verifyCopy(folder, remote.copy(basename(folder.path)));
    return { seconds, memory };
  } finally {
    await rm(scratch, { recursive: true, force: true });
    if (work.files < MANY_FILES) await remote[Symbol.asyncDispose]();
  }
}

/** Progress goes beside the result, so that the tables can be kept by themselves. */
function say(text: string): void {
  console.error(text);
}
