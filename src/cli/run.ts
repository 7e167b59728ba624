/** `ferry run`: scans now, delivers all that is due, and ends. */

import { randomBytes } from 'node:crypto';
import { parseDuration } from '../config/values.ts';
import { formatBytes, formatCount, formatDuration } from '../observe/format.ts';
import { listen } from '../observe/listen.ts';
import { createProgress } from '../observe/progress.ts';
import { openBackend } from '../queue/backend.ts';
import { asFault, type Fault } from '../sync/errors.ts';
import { Events } from '../sync/events.ts';
import type { Job } from '../sync/job.ts';
import { Scanner } from '../sync/scan.ts';
import { type Cli, EXIT, json, line, Refusal } from './cli.ts';
import type { Options } from './commands.ts';
import { Engine } from './engine.ts';
import { Outlook } from './outlook.ts';
import { jobsNamed, openSetup, type Setup } from './setup.ts';
import { Tally } from './tally.ts';

/** A file that changed a moment ago gets its `settle`, and so much more, before it is left for the next run. */
const SETTLE_SLACK_MS = 500;

export async function run(cli: Cli, names: readonly string[], options: Options): Promise<number> {
  const timeout = timeoutSignal(options.timeout);
  const stop = timeout === undefined ? cli.signal : AbortSignal.any([cli.signal, timeout]);
  const startedMs = cli.now();
  const asJson = options.json === true;

  await using setup = await openSetup(cli, names);
  const jobs = new Map(jobsNamed(setup.config, names).map((job) => [job.name, job]));
  const events = new Events();
  const tallies = new Map([...jobs.keys()].map((name) => [name, new Tally(name)]));
  using _counting = count(events, tallies);
  using progress = await createProgress(events, {
    out: asJson ? cli.stderr : cli.stdout,
    live: !asJson && cli.stdout.isTTY === true,
    color: asJson ? cli.colorErr : cli.color,
    now: () => performance.now(),
  });
  setup.ledger.recover(cli.now());
  setup.ledger.letGo([...setup.config.jobs.keys()], [...setup.config.endpoints.keys()]);

  const carried = await carry(cli, setup, jobs, events, tallies, stop).catch((error: unknown): Carried => {
    // It may have been stopped before anything was open.
    if (stop.aborted && asFault(error, stop).kind === 'aborted') return { unreachable: false, reasons: [] };
    throw error;
  });
  progress.stop();
  const seconds = (cli.now() - startedMs) / 1000;
  const failures = new Map<string, number>();
  for (const { job, state, files } of setup.ledger.counts()) {
    if (state === 'failed') failures.set(job, (failures.get(job) ?? 0) + files);
  }
  for (const tally of tallies.values()) {
    tally.standing(failures.get(tally.job) ?? 0);
    if (asJson) json(cli.stdout, tally.asJson(seconds));
    else line(cli.stdout, inWords(tally, seconds));
  }
  for (const reason of carried.reasons) line(cli.stderr, `ferry: ${reason}`);
  if (timeout?.aborted)
    line(cli.stderr, `ferry: the time was up (--timeout ${String(options.timeout)}); what is left stays due`);
  if (cli.signal.aborted) return EXIT.interrupted;
  if (timeout?.aborted || carried.unreachable) return EXIT.unreachable;
  return [...tallies.values()].some(({ failed, unseen }) => failed + unseen > 0) ? EXIT.failed : EXIT.ok;
}

interface Carried {
  readonly unreachable: boolean;
  readonly reasons: readonly string[];
}

async function carry(
  cli: Cli,
  setup: Setup,
  jobs: ReadonlyMap<string, Job>,
  events: Events,
  tallies: ReadonlyMap<string, Tally>,
  stop: AbortSignal,
): Promise<Carried> {
  const { ledger, endpoints } = setup;
  const { redisUrl, dataFolder, site, env } = cli.settings;
  const outlook = new Outlook({ ledger, events, jobs: [...jobs.values()] });
  using _watching = outlook;
  // The queue comes up, and connections are made, while the source is looked at.
  warmUp(setup, jobs, stop);
  const run = randomBytes(4).toString('hex');
  await using backend = await openBackend({
    redisUrl,
    dataFolder,
    site,
    run,
    pathEnv: env.PATH,
    // Its queue ends with it: a server of its own would take longer to start than it saves.
    embedded: 'memory',
    events,
    signal: stop,
  });
  const scanners = new Map<string, Scanner>();
  await using engine = await Engine.open({
    ledger,
    endpoints,
    events,
    backend,
    now: cli.now,
    jobs,
    steal: true,
    onChanged: ({ job, path }) =>
      void scanners
        .get(job)
        ?.scanPaths([path], 'changed while it was sent')
        .catch(() => undefined),
  });
  await using scanning = new AsyncDisposableStack();
  for (const job of jobs.values()) {
    const onOwed = (owed: ReadonlySet<string>): void => {
      for (const endpoint of owed) engine.deliveries.kick(endpoint);
    };
    const after = engine.after;
    const scanner = scanning.use(
      new Scanner({ job, ledger, places: endpoints, after, events, now: cli.now, skippedAgainMs: 0, onOwed }),
    );
    scanners.set(job.name, scanner);
  }
  // A source that does not answer must not hold up a stop.
  stop.addEventListener(
    'abort',
    () => {
      for (const scanner of scanners.values()) void scanner[Symbol.asyncDispose]();
    },
    { once: true },
  );
  const looked = await Promise.all([...scanners.values()].map((scanner) => look(scanner, stop)));
  for (const fault of looked) if (fault !== undefined) outlook.sourceFailed(fault);
  await outlook.done(stop, () =>
    [...scanners.values()].every((scanner) => !scanner.mayFind(scanner.job.settleMs + SETTLE_SLACK_MS)),
  );
  for (const { job, waiting } of scanners.values()) tallies.get(job.name)?.left(waiting);
  await engine.deliveries.stop({ deadlineMs: stop.aborted ? 0 : 60_000 });
  if (!stop.aborted) await Promise.all([...engine.targets].map((endpoint) => engine.tidy(endpoint, stop)));
  return outlook.carried();
}

/** Resolves to what went wrong, if anything did. */
async function look(scanner: Scanner, stop: AbortSignal): Promise<Fault | undefined> {
  try {
    await scanner.scanAll('run');
    return undefined;
  } catch (error) {
    return asFault(error, stop);
  }
}

function warmUp(setup: Setup, jobs: ReadonlyMap<string, Job>, signal: AbortSignal): void {
  for (const job of jobs.values()) {
    for (const { endpoint } of job.to) {
      // Only to be early: whoever needs the connection meets its trouble again, and tells it.
      setup.endpoints
        .pool(endpoint)
        .then((pool) => pool.probe(signal))
        .catch(() => undefined);
    }
  }
}

function count(events: Events, tallies: ReadonlyMap<string, Tally>): Disposable {
  return listen(events, {
    delivered: (delivery, receipt) => tallies.get(delivery.job)?.delivered(receipt.sizeBytes),
    failed: (delivery) => tallies.get(delivery.job)?.fail(),
    superseded: (delivery, fault) => {
      if (fault.kind === 'skipped') tallies.get(delivery.job)?.skip();
    },
    left: (job, _path, _reason, fault) => {
      const tally = tallies.get(job);
      if (fault === undefined) tally?.skip();
      else if (tally !== undefined) tally.unseen += 1;
    },
  });
}

function inWords(tally: Tally, seconds: number): string {
  const { files, failed, failedBefore, skipped, unseen, bytes } = tally;
  const parts = [
    `${formatCount(files, 'file')} delivered (${formatBytes(bytes)}) in ${formatDuration(seconds * 1000)}`,
  ];
  if (failed > 0) {
    const before = failedBefore > 0 ? ` (${failedBefore} before this run)` : '';
    parts.push(
      `${failed} failed${before}: \`ferry history --job ${tally.job} --state failed\` says why, \`ferry retry --job ${tally.job}\` sends again`,
    );
  }
  if (unseen > 0) parts.push(`${unseen} could not be looked at or taken`);
  if (skipped > unseen) parts.push(`${skipped - unseen} skipped`);
  return `${tally.job}: ${parts.join(', ')}`;
}

function timeoutSignal(option: string | boolean | undefined): AbortSignal | undefined {
  if (typeof option !== 'string') return undefined;
  const ms = parseDuration(option);
  if (ms === undefined) throw new Refusal(`--timeout takes a duration such as 20s or 15m, not "${option}"`);
  return AbortSignal.timeout(ms);
}
