/**
 * What a connector does with what it was asked: a queue that is worked off by as many lanes as the connector has
 * connections, each really moving bytes between S3 and the partner's server.
 */

import { Readable } from 'node:stream';
import type { S3 } from '@aws-sdk/client-s3';
import type { DescribedConnector } from '@aws-sdk/client-transfer';
import type { Sshd } from '../sshd.ts';
import { objectOf } from './model.ts';
import { Partner, UntrustedKey } from './partner.ts';

export type Status = 'QUEUED' | 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';

export interface FileRecord {
  readonly transferId: string;
  /** As it was asked for. */
  readonly path: string;
  /** Name at the partner, or of what is fetched. */
  readonly name: string;
  status: Status;
  failureCode: string | undefined;
  failureMessage: string | undefined;
}

/** What shall become of a file: the words of a failure, or nothing ever. */
export type Fate = { readonly code: string; readonly message: string } | 'stuck';

export type Task =
  | { readonly is: 'send'; readonly record: FileRecord; readonly folder: string | undefined }
  | { readonly is: 'retrieve'; readonly record: FileRecord; readonly folder: string }
  | { readonly is: 'move'; readonly from: string; readonly to: string }
  | { readonly is: 'remove'; readonly path: string }
  | { readonly is: 'list'; readonly path: string; readonly output: string; readonly most: number };

export interface WorkOptions {
  readonly s3: S3;
  readonly server: Sshd;
  readonly connector: () => DescribedConnector;
  /** Decided when its turn comes. */
  readonly fateOf: (record: FileRecord) => Fate | undefined;
}

/** Names of failures as one could give them: AWS publishes no list. */
const CODES: readonly (readonly [RegExp, string])[] = [
  [/No such file/i, 'SEND_PATH_NOT_FOUND'],
  [/Permission denied/i, 'SEND_PERMISSION_DENIED'],
  [/NoSuchKey|not exist/i, 'SEND_FILE_NOT_FOUND'],
  [/ECONN|timed out|socket|closed/i, 'CONNECTION_FAILED'],
];

export class Work implements AsyncDisposable {
  readonly #options: WorkOptions;
  readonly #waiting: Task[] = [];
  readonly #lanes = new Set<Promise<void>>();
  /** Done so far, for tests to look at. */
  readonly log: string[] = [];
  #held = false;
  #ended = false;

  constructor(options: WorkOptions) {
    this.#options = options;
  }

  /** Files that wait or are under way. */
  get pending(): number {
    return this.#waiting.filter(({ is }) => is === 'send' || is === 'retrieve').length;
  }

  add(task: Task): void {
    this.#waiting.push(task);
    this.#go();
  }

  /** Nothing more is begun until `release`. Lists are made all the same, as from another connection. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#go();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#waiting.length = 0;
    await Promise.allSettled(this.#lanes);
  }

  #go(): void {
    const most = this.#options.connector().SftpConfig?.MaxConcurrentConnections ?? 1;
    while (!this.#ended && this.#lanes.size < most && this.#next() !== undefined) {
      const lane = this.#lane().finally(() => {
        this.#lanes.delete(lane);
        this.#go();
      });
      this.#lanes.add(lane);
    }
  }

  #next(): Task | undefined {
    return this.#held ? this.#waiting.find(({ is }) => is === 'list') : this.#waiting[0];
  }

  async #lane(): Promise<void> {
    let partner: Partner | undefined;
    try {
      for (let task = this.#take(); task !== undefined; task = this.#take()) {
        try {
          partner ??= await Partner.connect(this.#options.server, this.#trusted());
          await this.#do(task, partner);
        } catch (error) {
          this.#failed(task, error);
        }
      }
    } finally {
      await partner?.[Symbol.asyncDispose]();
    }
  }

  #take(): Task | undefined {
    const task = this.#next();
    if (task !== undefined) this.#waiting.splice(this.#waiting.indexOf(task), 1);
    return task;
  }

  #trusted(): readonly string[] {
    return this.#options.connector().SftpConfig?.TrustedHostKeys ?? [];
  }

  async #do(task: Task, partner: Partner): Promise<void> {
    const { s3 } = this.#options;
    switch (task.is) {
      case 'send':
      case 'retrieve': {
        const { record } = task;
        const fate = this.#options.fateOf(record);
        record.status = 'IN_PROGRESS';
        if (fate === 'stuck') return;
        if (fate !== undefined) {
          Object.assign(record, { status: 'FAILED', failureCode: fate.code, failureMessage: fate.message });
          return;
        }
        if (task.is === 'send') await this.#send(record, task.folder, partner);
        else await this.#retrieve(record, task.folder, partner);
        record.status = 'COMPLETED';
        break;
      }
      case 'move':
        await partner.rename(task.from, task.to);
        break;
      case 'remove':
        await partner.remove(task.path);
        break;
      case 'list': {
        const entries = await partner.list(task.path);
        const base = task.path.replace(/\/$/, '');
        const some = entries.slice(0, task.most);
        const listing = {
          files: some
            .filter(({ isFolder }) => !isFolder)
            .map(({ name, size, mtime }) => ({
              filePath: `${base}/${name}`,
              modifiedTimestamp: new Date(mtime * 1000).toISOString().replace('.000Z', 'Z'),
              size,
            })),
          paths: some.filter(({ isFolder }) => isFolder).map(({ name }) => ({ path: `${base}/${name}` })),
          truncated: entries.length > some.length,
        };
        await s3.putObject({ ...objectOf(task.output), Body: JSON.stringify(listing) });
        break;
      }
    }
    this.log.push(wordsOf(task));
  }

  async #send({ path, name }: FileRecord, folder: string | undefined, partner: Partner): Promise<void> {
    const { Body } = await this.#options.s3.getObject(objectOf(path));
    if (!(Body instanceof Readable)) throw new Error('an object without a body');
    await partner.write(folder === undefined ? name : `${folder.replace(/\/$/, '')}/${name}`, Body);
  }

  async #retrieve({ path, name }: FileRecord, folder: string, partner: Partner): Promise<void> {
    const Body = await partner.read(path);
    await this.#options.s3.putObject({ ...objectOf(`${folder}/${name}`), Body });
  }

  #failed(task: Task, error: unknown): void {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.log.push(`${wordsOf(task)} failed: ${message}`);
    if (task.is !== 'send' && task.is !== 'retrieve') return;
    const code =
      error instanceof UntrustedKey
        ? 'HOST_KEY_VERIFICATION_FAILED'
        : (CODES.find(([words]) => words.test(message))?.[1] ?? 'SEND_FAILED');
    Object.assign(task.record, { status: 'FAILED', failureCode: code, failureMessage: message });
  }
}

function wordsOf(task: Task): string {
  switch (task.is) {
    case 'send':
      return `send ${task.record.path} to ${task.folder ?? '.'}`;
    case 'retrieve':
      return `retrieve ${task.record.path}`;
    case 'move':
      return `move ${task.from} to ${task.to}`;
    case 'remove':
      return `remove ${task.path}`;
    case 'list':
      return `list ${task.path}`;
  }
}
