/** `ferry start`: the worker. Watches, schedules, delivers, serves health and dashboards, until it is told to stop. */

import { formatProblems, problemCount } from '../config/problems.ts';
import { parseDuration } from '../config/values.ts';
import { lockWorker } from '../ledger/owner.ts';
import { listen } from '../observe/listen.ts';
import { createLog, isLogLevel, type Log } from '../observe/log.ts';
import { logEvents } from '../observe/log-events.ts';
import { Secrets } from '../observe/secrets.ts';
import { Events } from '../sync/events.ts';
import { type Cli, EXIT, json, line, Refusal } from './cli.ts';
import type { Options } from './commands.ts';
import { asJson } from './history.ts';
import { loadJobs } from './setup.ts';
import { Worker } from './worker.ts';

/** How long a stop lets transfers finish: below what docker compose waits (stop_grace_period). */
const GRACE_MS = 100_000;

export async function start(cli: Cli, _names: readonly string[], options: Options): Promise<number> {
  const { settings } = cli;
  const graceMs = graceOf(options.grace);
  if (!isLogLevel(settings.logLevel))
    throw new Refusal(`FERRY_LOG=${settings.logLevel} is no level; use debug, info, warn or error`);

  const loaded = await loadJobs(cli);
  if (loaded.problems.length > 0) {
    line(
      cli.stderr,
      `ferry: the configuration has ${problemCount(loaded.problems)}\n${formatProblems(loaded.problems)}`,
    );
    if (loaded.config.jobs.size === 0) return EXIT.usage;
    line(
      cli.stderr,
      `ferry: starting with the ${loaded.config.jobs.size === 1 ? 'job' : 'jobs'} that can run: ${[...loaded.config.jobs.keys()].join(', ')}`,
    );
  }

  using lock = lockWorker(settings.dataFolder);
  if (lock === undefined) {
    throw new Refusal(
      `another \`ferry start\` works on ${settings.dataFolder}; stop it first, or set FERRY_DATA to another folder`,
    );
  }
  const events = new Events();
  const secrets = new Secrets();
  const log = await createLog({
    level: settings.logLevel,
    out: cli.stderr,
    human: cli.stderr.isTTY === true,
    color: cli.colorErr,
    secrets,
    base: { site: settings.site },
  });
  using _logging = logEvents(log, events);
  using _lines = options.json === true ? jsonLines(cli, events) : undefined;

  await using worker = await Worker.open({ cli, loaded, events, secrets, log });
  if (options.json !== true) for (const text of worker.banner()) line(cli.stdout, text);
  log.info(
    { event: 'started', queue: worker.queue, url: worker.url },
    `started; the queue is ${worker.queue}`,
  );
  await worker.begin();
  if (!cli.signal.aborted)
    await new Promise((resolve) => cli.signal.addEventListener('abort', resolve, { once: true }));
  await stop(worker, log, graceMs);
  return EXIT.ok;
}

async function stop(worker: Worker, log: Log, graceMs: number): Promise<void> {
  log.info({ event: 'stopping', graceMs }, 'stopping; what is being sent may finish');
  await worker.stop(graceMs);
  log.info({ event: 'stopped' }, 'stopped');
}

function jsonLines(cli: Cli, events: Events): Disposable {
  return listen(events, {
    delivered: (delivery, receipt, ms) =>
      json(cli.stdout, {
        event: 'delivered',
        ...asJson({
          ...delivery,
          state: 'delivered',
          remotePath: receipt.remotePath,
          sha256: receipt.sha256,
          verified: receipt.verified,
          deliveredAtMs: cli.now(),
          error: undefined,
        }),
        ms,
      }),
    failed: (delivery, fault) =>
      json(cli.stdout, {
        event: 'failed',
        ...asJson({ ...delivery, state: 'failed' }),
        error: { kind: fault.kind, code: fault.code, message: fault.message, advice: fault.advice },
      }),
  });
}

function graceOf(option: string | boolean | undefined): number {
  if (typeof option !== 'string') return GRACE_MS;
  const ms = parseDuration(option);
  if (ms === undefined) throw new Refusal(`--grace takes a duration such as 20s or 2m, not "${option}"`);
  return ms;
}
