/**
 * Transfer Family's API as this endpoint uses it: every call goes through here, in its turn and within its deadline,
 * and throws only Faults. Calls that change nothing are tried once more when the connection fails; others never.
 *
 * https://docs.aws.amazon.com/transfer/latest/APIReference/API_StartFileTransfer.html
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { DescribedConnector, Transfer } from '@aws-sdk/client-transfer';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import type { Client } from './client.ts';
import { apiFault, Throttled } from './faults.ts';
import type { Pace } from './pace.ts';
import { assertUsable } from './words.ts';

export interface FileResult {
  /** As the service names it. */
  readonly filePath: string;
  readonly status: 'QUEUED' | 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
  readonly failureCode: string;
  readonly failureMessage: string;
}

/** TestConnection's answer: a failure is data. */
export interface Verdict {
  readonly ok: boolean;
  readonly message: string;
  /** As in a public key file: type and body. */
  readonly hostKey: string | undefined;
}

export interface ApiOptions {
  /** Of the endpoint. */
  readonly name: string;
  readonly connector: string;
  readonly client: Client;
  readonly pace: Pace;
}

interface Http {
  readonly abortSignal: AbortSignal;
}

type Ask<T> = (transfer: Transfer, http: Http) => Promise<T>;

export class Api implements Disposable {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  get transfer(): Transfer {
    return this.#options.client.transfer;
  }

  /** @param paths `/bucket/key`, at most ten; sent to `folder` (undefined: where the login starts). Resolves to the TransferId */
  async send(paths: readonly string[], folder: string | undefined, signal: AbortSignal): Promise<string> {
    const input = {
      SendFilePaths: [...paths],
      ...(folder === undefined ? {} : { RemoteDirectoryPath: folder }),
    };
    const answer = await this.#once('StartFileTransfer', signal, (transfer, http) =>
      transfer.startFileTransfer({ ConnectorId: this.#options.connector, ...input }, http),
    );
    return this.#needed('StartFileTransfer', answer.TransferId);
  }

  /** @param path at the partner; goes to the S3 folder `/bucket/prefix`. Resolves to the TransferId */
  async retrieve(path: string, folder: string, signal: AbortSignal): Promise<string> {
    const input = { RetrieveFilePaths: [path], LocalDirectoryPath: folder };
    const answer = await this.#once('StartFileTransfer', signal, (transfer, http) =>
      transfer.startFileTransfer({ ConnectorId: this.#options.connector, ...input }, http),
    );
    return this.#needed('StartFileTransfer', answer.TransferId);
  }

  /** Undefined when the service knows nothing of that transfer (any more: results are kept 7 days). */
  async results(TransferId: string, signal: AbortSignal): Promise<readonly FileResult[] | undefined> {
    const ConnectorId = this.#options.connector;
    const found: FileResult[] = [];
    let NextToken: string | undefined;
    try {
      do {
        const page = await this.#again('ListFileTransferResults', signal, (transfer, http) =>
          transfer.listFileTransferResults(
            { ConnectorId, TransferId, ...(NextToken === undefined ? {} : { NextToken }) },
            http,
          ),
        );
        for (const { FilePath, StatusCode, FailureCode, FailureMessage } of page.FileTransferResults ?? []) {
          found.push({
            filePath: FilePath ?? '',
            status: StatusCode ?? 'IN_PROGRESS',
            failureCode: FailureCode ?? '',
            failureMessage: FailureMessage ?? '',
          });
        }
        NextToken = page.NextToken;
      } while (NextToken !== undefined);
    } catch (error) {
      // The transfer is not there, or the connector: a look at that tells.
      if (!(error instanceof Fault) || error.code !== 'NO_CONNECTOR') throw error;
      await this.describe(signal);
      return undefined;
    }
    return found.length === 0 ? undefined : found;
  }

  async describe(signal: AbortSignal): Promise<DescribedConnector> {
    const answer = await this.#again('DescribeConnector', signal, (transfer, http) =>
      transfer.describeConnector({ ConnectorId: this.#options.connector }, http),
    );
    return this.#needed('DescribeConnector', answer.Connector);
  }

  /** Once a second at most, by all of an account: waits for its turn. */
  async test(signal: AbortSignal): Promise<Verdict> {
    const ConnectorId = this.#options.connector;
    const answer = await patiently(signal, () =>
      this.#again('TestConnection', signal, (transfer, http) =>
        transfer.testConnection({ ConnectorId }, http),
      ),
    );
    return {
      ok: answer.Status === 'OK',
      message: answer.StatusMessage ?? answer.Status ?? '',
      hostKey: answer.SftpConnectionDetails?.HostKey,
    };
  }

  /** Accepted; whether it was done, a listing tells. */
  async move(SourcePath: string, TargetPath: string, signal: AbortSignal): Promise<void> {
    const ConnectorId = this.#options.connector;
    await this.#once('StartRemoteMove', signal, (transfer, http) =>
      transfer.startRemoteMove({ ConnectorId, SourcePath, TargetPath }, http),
    );
  }

  /** Accepted; whether it was done, a listing tells. */
  async remove(DeletePath: string, signal: AbortSignal): Promise<void> {
    const ConnectorId = this.#options.connector;
    await this.#again('StartRemoteDelete', signal, (transfer, http) =>
      transfer.startRemoteDelete({ ConnectorId, DeletePath }, http),
    );
  }

  /** @param output `/bucket/prefix`. Resolves to the name of the file that will appear there */
  async list(
    RemoteDirectoryPath: string,
    output: string,
    MaxItems: number,
    signal: AbortSignal,
  ): Promise<string> {
    const ConnectorId = this.#options.connector;
    const answer = await this.#again('StartDirectoryListing', signal, (transfer, http) =>
      transfer.startDirectoryListing(
        { ConnectorId, RemoteDirectoryPath, OutputDirectoryPath: output, MaxItems },
        http,
      ),
    );
    return this.#needed('StartDirectoryListing', answer.OutputFileName);
  }

  [Symbol.dispose](): void {
    this.#options.client[Symbol.dispose]();
  }

  async #again<T>(action: string, signal: AbortSignal, ask: Ask<T>): Promise<T> {
    try {
      return await this.#once(action, signal, ask);
    } catch (error) {
      const passing = error instanceof Fault && error.kind === 'unreachable' && !(error instanceof Throttled);
      if (!passing || error.code === 'ETIMEDOUT') throw error;
      return await this.#once(action, signal, ask);
    }
  }

  #once<T>(action: string, signal: AbortSignal, ask: Ask<T>): Promise<T> {
    return this.#options.client.renewal.over(() => this.#ask(action, signal, ask), signal);
  }

  async #ask<T>(action: string, signal: AbortSignal, ask: Ask<T>): Promise<T> {
    const { client, pace, name, connector } = this.#options;
    throwIfAborted(signal);
    await pace.turn(action, signal);
    try {
      return await ask(client.transfer, { abortSignal: signal });
    } catch (error) {
      throwIfAborted(signal);
      const fault = apiFault(error, name, connector, action);
      if (fault instanceof Throttled) pace.pause(action, fault.retryAfterMs);
      if (fault.code === 'EINVAL' && action !== 'DescribeConnector') await this.#assertUsable(signal);
      throw fault;
    }
  }

  /** While the connector is changed, what it is asked for is called invalid. @throws Fault when that is so */
  async #assertUsable(signal: AbortSignal): Promise<void> {
    const described = await this.describe(signal).catch(() => undefined);
    if (described !== undefined) assertUsable(this.#options.name, described);
  }

  #needed<T>(action: string, value: T | undefined): T {
    if (value !== undefined) return value;
    throw new Fault('transient', `${this.#options.name}: ${action} was answered without what it promises`, {
      code: 'BAD_ANSWER',
    });
  }
}

const MOST_THROTTLED = 5;
const MOST_PATIENCE_MS = 30_000;

/** For who waits: does again what was throttled, after as long as AWS says, if that is soon. */
export async function patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let n = 1; ; n += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Throttled) || n >= MOST_THROTTLED || error.retryAfterMs > MOST_PATIENCE_MS)
        throw error;
      await sleep(error.retryAfterMs, undefined, { signal }).catch(() => throwIfAborted(signal));
    }
  }
}
