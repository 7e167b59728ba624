/**
 * The running worker: opened from a configuration, follows its edits, and stops gently. Wires what the other
 * folders hold; decides nothing about files itself.
 */

import { dirname } from 'node:path';
import type { Config, Loaded } from '../config/config.ts';
import { formatProblems } from '../config/problems.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { Activity } from '../observe/activity.ts';
import { formatCount } from '../observe/format.ts';
import type { Log } from '../observe/log.ts';
import { createMetrics, type Metrics } from '../observe/metrics.ts';
import type { Secrets } from '../observe/secrets.ts';
import { type Backend, openBackend } from '../queue/backend.ts';
import { type Schedule, Schedules } from '../queue/schedules.ts';
import type { Fault } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';
import { watchConfig } from '../triggers/config-watch.ts';
import type { Health } from '../web/health.ts';
import { readOverview } from '../web/overview.ts';
import { startWeb, type Web } from '../web/web.ts';
import { bannerOf } from './banner.ts';
import type { Cli } from './cli.ts';
import type { Endpoints } from './endpoints.ts';
import { Engine } from './engine.ts';
import { Housekeeping } from './housekeeping.ts';
import { keepBroken } from './reload.ts';
import { loadJobs, openParts, secretsOf } from './setup.ts';
import { Sources } from './sources.ts';
import { VERSION } from './version.ts';

export interface WorkerOptions {
  readonly cli: Cli;
  readonly loaded: Loaded;
  readonly events: Events;
  readonly secrets: Secrets;
  readonly log: Log;
}

interface Parts {
  readonly ledger: Ledger;
  readonly endpoints: Endpoints;
  readonly backend: Backend;
  readonly engine: Engine;
  readonly sources: Sources;
  readonly schedules: Schedules;
  readonly activity: Activity;
  readonly metrics: Metrics;
}

export class Worker implements AsyncDisposable {
  readonly #options: WorkerOptions;
  readonly #parts: Parts;
  readonly #owned: AsyncDisposableStack;
  readonly #startedAtMs: number;
  readonly #stopping = new AbortController();
  readonly #addresses = new Map<string, string>();
  #config: Config;
  /** What is wrong with the configuration as it is written now. */
  #problems: string | undefined;
  /** Of the folder of the jobs, which run on as they were. */
  #folderFault: Fault | undefined;
  #begun = false;
  #web: Web | undefined;
  #reloading: Promise<void> = Promise.resolve();

  /** @throws Fault when the ledger, the queue or the web address cannot be had */
  static async open(options: WorkerOptions): Promise<Worker> {
    const { cli, events, loaded, secrets } = options;
    await using undo = new AsyncDisposableStack();
    secretsOf(cli, loaded.config, secrets);
    const { ledger, endpoints } = openParts(cli, loaded.config, undo, (endpoint, message) =>
      options.log.warn({ endpoint }, message),
    );
    ledger.recover(cli.now());
    ledger.letGo([...loaded.config.jobs.keys()], [...loaded.config.endpoints.keys()]);
    const { redisUrl, dataFolder, site, env } = cli.settings;
    const backend = undo.use(
      await openBackend({ redisUrl, dataFolder, site, pathEnv: env.PATH, events, signal: cli.signal }),
    );
    const made: { sources?: Sources } = {};
    const engine = undo.use(
      await Engine.open({
        ledger,
        endpoints,
        events,
        backend,
        now: cli.now,
        jobs: loaded.config.jobs,
        steal: false,
        onChanged: ({ job, path }) => void made.sources?.scanPaths(job, [path], 'changed while it was sent'),
      }),
    );
    const sources = undo.use(
      new Sources({
        ledger,
        places: endpoints,
        after: engine.after,
        events,
        now: cli.now,
        onOwed: (owed) => {
          for (const endpoint of owed) engine.deliveries.kick(endpoint);
        },
      }),
    );
    made.sources = sources;
    const schedules = undo.use(
      await Schedules.open({
        backend,
        ledger,
        events,
        now: cli.now,
        onCron: (job) => sources.scanAll(job, 'cron'),
      }),
    );
    const activity = undo.use(new Activity(events, () => performance.now()));
    const metrics = undo.use(
      await createMetrics(events, {
        counts: () => ledger.counts(),
        endpoints: () => ledger.endpoints(),
        jobs: () => ledger.jobs(),
        names: () => ({ jobs: worker.#config.jobs.keys(), endpoints: engine.targets }),
        depths: () =>
          new Map(
            engine.deliveries.status().map(({ endpoint, ready, sending }) => [endpoint, ready + sending]),
          ),
      }),
    );
    const worker: Worker = new Worker(
      options,
      { ledger, endpoints, backend, engine, sources, schedules, activity, metrics },
      undo.move(),
    );
    await worker.#serve();
    return worker;
  }

  private constructor(options: WorkerOptions, parts: Parts, owned: AsyncDisposableStack) {
    this.#options = options;
    this.#parts = parts;
    this.#owned = owned;
    this.#config = options.loaded.config;
    this.#startedAtMs = options.cli.now();
    if (options.loaded.problems.length > 0) this.#problems = formatProblems(options.loaded.problems);
  }

  /** What the queue runs on, in words. */
  get queue(): string {
    return this.#parts.backend.describe;
  }

  get url(): string | undefined {
    return this.#web?.url;
  }

  banner(): readonly string[] {
    return bannerOf({
      config: this.#config,
      addresses: this.#addresses,
      queue: this.queue,
      url: this.url,
      jobsFolder: this.#options.cli.settings.jobsFolder,
    });
  }

  /** Watches, schedules, and looks at every source once. */
  async begin(): Promise<void> {
    const { cli, events, log } = this.#options;
    const { endpoints, engine, ledger, schedules, sources } = this.#parts;
    const watch = await watchConfig({
      folder: cli.settings.jobsFolder,
      files: () => this.#config.files.filter((file) => dirname(file) !== this.#config.folder),
      onChange: () => {
        this.#reloading = this.#reloading
          .then(() => this.#reload())
          .catch((error: unknown) => log.error({ err: error }, 'the configuration could not be read again'));
      },
      onAlarm: (fault) => {
        this.#folderFault = fault;
        if (fault !== undefined) events.emit('config', fault.message, false);
      },
      signal: this.#stopping.signal,
    });
    this.#owned.use(watch);
    this.#owned.use(
      new Housekeeping({
        ledger,
        engine,
        endpoints,
        jobs: () => this.#config.jobs,
        now: cli.now,
        warn: (message) => log.warn(message),
      }),
    );
    await Promise.all([sources.follow(this.#config), schedules.set(cronsOf(this.#config))]);
    this.#begun = true;
  }

  /** Takes nothing more, lets what is being sent finish for so long, and closes everything. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    await this.#reloading;
    await Promise.all([
      this.#parts.schedules[Symbol.asyncDispose](),
      this.#parts.sources[Symbol.asyncDispose](),
    ]);
    await this.#parts.engine.deliveries.stop({ deadlineMs: graceMs });
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#owned.disposeAsync();
  }

  async #serve(): Promise<void> {
    const { cli, log } = this.#options;
    const { activity, engine, ledger, metrics, endpoints } = this.#parts;
    for (const name of this.#config.endpoints.keys()) await this.#learnAddress(name, endpoints);
    const { http, httpToken, site } = cli.settings;
    this.#web = await startWeb({
      address: http,
      token: httpToken,
      health: () => this.#health(),
      metrics,
      queues: () => engine.deliveries.queues(),
      overview: () =>
        readOverview({
          ledger,
          jobs: () => this.#config.jobs.values(),
          endpoints: () =>
            [...this.#config.endpoints.keys()].map((name) => ({
              name,
              address: this.#addresses.get(name) ?? name,
            })),
          activity,
          health: () => this.#health(),
          queue: () => this.queue,
          now: cli.now,
          site,
          version: VERSION,
          startedAtMs: this.#startedAtMs,
        }),
      warn: (message) => log.warn({ event: 'web' }, message),
    });
    if (this.#web !== undefined) this.#owned.use(this.#web);
  }

  async #learnAddress(name: string, endpoints: Endpoints): Promise<void> {
    try {
      this.#addresses.set(name, (await endpoints.get(name)).address);
    } catch {
      // It cannot be made; its queue tells why as soon as something is owed to it.
      this.#addresses.set(name, name);
    }
  }

  #health(): Health {
    const reasons: string[] = [];
    if (!this.#begun) reasons.push('still starting: the sources have not been looked at yet');
    const queue = this.#parts.backend.health();
    if (!queue.ok) reasons.push(`the queue: ${queue.message}`);
    if (this.#problems !== undefined) reasons.push(`the configuration: ${this.#problems}`);
    if (this.#folderFault !== undefined) reasons.push(`the configuration: ${this.#folderFault.message}`);
    for (const { endpoint, state, fault } of this.#parts.ledger.endpoints()) {
      if (state !== 'up' && this.#config.endpoints.has(endpoint))
        reasons.push(`${endpoint} is ${state}: ${fault?.message ?? ''}`);
    }
    for (const { job, alarm } of this.#parts.ledger.jobs()) {
      if (alarm !== undefined && this.#config.jobs.has(job)) reasons.push(`${job}: ${alarm.message}`);
    }
    return { live: !this.#stopping.signal.aborted, ready: reasons.length === 0, reasons };
  }

  async #reload(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const { cli, events, secrets } = this.#options;
    const { endpoints, engine, ledger, schedules, sources } = this.#parts;
    const loaded = await loadJobs(cli);
    const config = keepBroken(loaded, this.#config);
    secretsOf(cli, config, secrets);
    this.#problems = loaded.problems.length === 0 ? undefined : formatProblems(loaded.problems);
    this.#config = config;
    const changed = endpoints.update(config.endpoints);
    for (const name of config.endpoints.keys())
      if (changed.includes(name) || !this.#addresses.has(name)) await this.#learnAddress(name, endpoints);
    await engine.configure(config, changed);
    ledger.letGo([...config.jobs.keys()], [...config.endpoints.keys()]);
    await Promise.all([sources.follow(config), schedules.set(cronsOf(config))]);
    if (this.#problems === undefined)
      events.emit(
        'config',
        `the configuration was read again: ${formatCount(config.jobs.size, 'job')}`,
        true,
      );
    else
      events.emit(
        'config',
        `the configuration has problems; what is broken runs on as it was\n${this.#problems}`,
        false,
      );
  }
}

function cronsOf(config: Config): readonly Schedule[] {
  return [...config.jobs.values()].flatMap(({ name, when: { cron, timezone, catchUp } }) =>
    cron === undefined ? [] : [{ job: name, pattern: cron, timezone, catchUp }],
  );
}
