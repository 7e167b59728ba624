/** `ferry start` on the on-prem host of a private network, with one job for each balancer that it sends over. */

import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Balancer } from './balancer.ts';
import { endpointOf, type Home, makeHome, type Running } from './ferry.ts';
import { assertNoLeftovers, sha256OfContent, sha256OfFile, writeContent } from './files.ts';
import type { PrivateNetwork } from './private-network.ts';
import { until } from './until.ts';

export interface Lines extends AsyncDisposable {
  readonly home: Home;
  readonly worker: Running;
  /** Where the files of a job arrive, by its number. */
  inbox(job: number): string;
  /** Drops a file of so many bytes; the name says its content. */
  drop(name: string, sizeBytes: number, job?: number): Promise<void>;
  /** Every file that the worker says it has delivered. */
  delivered(): readonly Readonly<Record<string, unknown>>[];
  /** Waits until it is delivered, and finds it whole. Resolves to how often it was tried, which counts what the file had to do with. */
  arrived(
    name: string,
    sizeBytes: number,
    options?: { readonly job?: number; readonly timeoutMs?: number },
  ): Promise<number>;
}

export interface LinesOptions {
  readonly network: PrivateNetwork;
  /** Settings of all endpoints. */
  readonly entry?: object;
}

export async function linesOver(
  balancers: readonly Balancer[],
  { network, entry = {} }: LinesOptions,
): Promise<Lines> {
  await using undo = new AsyncDisposableStack();
  const { onPrem: within } = network;
  const home = undo.use(await makeHome(within === undefined ? {} : { within }));
  const entries = balancers.map((balancer, job) => [`server-${job}`, overBalancer(network, balancer, entry)]);
  await home.endpoints(Object.fromEntries(entries));
  const inbox = (job: number): string => join(network.folder, `inbox-${balancers[job]?.port}`);
  for (const job of balancers.keys()) {
    await home.job(`job-${job}`, {
      from: `./outbox/${job}`,
      to: { endpoint: `server-${job}`, path: inbox(job) },
      when: { watch: true },
      settle: '100ms',
      retry: { attempts: 3, delay: '100ms', maxDelay: '500ms' },
    });
    await writeContent(join(home.outbox, `${job}`, '.keep'), '', 0);
  }
  const worker = await home.worker({ FERRY_LOG: 'debug' }, ['--json']);
  const owned = undo.move();
  const delivered = (): readonly Readonly<Record<string, unknown>>[] =>
    worker
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{"event":"delivered"'))
      .map((line) => JSON.parse(line));
  return {
    home,
    worker,
    inbox,
    delivered,
    drop: async (name, sizeBytes, job = 0) => {
      const aside = join(home.path, `${job}-${name}`);
      await writeContent(aside, name, sizeBytes);
      await rename(aside, join(home.outbox, `${job}`, name));
    },
    arrived: async (name, sizeBytes, { job = 0, timeoutMs = 60_000 } = {}) => {
      const isIt = (line: Readonly<Record<string, unknown>>): boolean =>
        line.path === name && line.job === `job-${job}`;
      const record = await until(`${name} to arrive`, () => delivered().find(isIt), { timeoutMs }).catch(
        (error: unknown) => assert.fail(`${String(error)}; the worker said:\n${worker.output()}`),
      );
      assert.equal(await sha256OfFile(join(inbox(job), name)), sha256OfContent(name, sizeBytes));
      await assertNoLeftovers(inbox(job));
      return Number(record.attempts);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The entry of the servers behind a balancer, with the host keys of all of them. */
export function overBalancer(
  network: PrivateNetwork,
  { host, port }: Pick<Balancer, 'host' | 'port'>,
  entry: object = {},
): Record<string, unknown> {
  const hostKey = network.targets.map((server) => server.hostKeyFingerprint);
  return endpointOf(network.targets[0], { host, port, hostKey, ...entry });
}
