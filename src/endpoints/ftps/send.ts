/**
 * Sends a file: temporary, verify, rename; or straight under its final name where the server commits at the end of
 * the data (Transfer Family on S3) or renames nothing.
 *
 * When the control connection is lost after all data went through, and before the server could say so, another one
 * asks for the size: that decides, instead of sending everything again.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Receipt, SourceReader } from '../endpoint.ts';
import type { Connection } from './connection.ts';
import { holds } from './digest.ts';
import { sizeFault } from './faults.ts';
import { attributeCommands, attributesSet, type Job, tempPath } from './job.ts';
import type { Lane } from './lanes.ts';
import type { Facts } from './listing.ts';
import { look, sizeBy, sizeOf } from './look.ts';
import { publish, publishQuickly, removeIfThere } from './publish.ts';
import type { Reply } from './reply.ts';
import { note, resumable, resumePoint } from './resume.ts';
import { findTarget, SourceDigest } from './target.ts';
import { upload } from './upload.ts';

/** After a lost reply a server may still be at work on what it got: asked for its size so often, so far apart. */
const SIZE_TRIES = 6;
const SIZE_EVERY_MS = 1_000;

/** Errors are Faults. */
export async function send(connection: Connection, job: Job): Promise<Receipt> {
  await using reader = await job.source.open(job.options.signal);
  await using sending = new Sending(connection, job, reader);
  return await sending.run();
}

/** What was stored, before anybody has looked at it. */
interface Stored {
  readonly sha256: string;
  readonly rechecked: Promise<void>;
  /** The answers to the commands of `#settle`, where those could leave with the file. */
  readonly settled: Settled | undefined;
}

interface Settled {
  readonly attributes: readonly string[];
  readonly replies: Promise<readonly Reply[]>;
}

type Target = { readonly path: FilePath } | { readonly receipt: Receipt };

class Sending implements AsyncDisposable {
  readonly #job: Job;
  readonly #reader: SourceReader;
  readonly #digest: SourceDigest;
  #connection: Connection;
  /** The connection is one of its own, made after the first was lost. */
  #own = false;
  /** The connection was given to others. */
  #lent = false;
  /** Of the connection, once it was taken again. */
  #lane: Lane | undefined;

  constructor(connection: Connection, job: Job, reader: SourceReader) {
    this.#connection = connection;
    this.#job = job;
    this.#reader = reader;
    this.#digest = new SourceDigest(job, reader);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#own) await this.#connection[Symbol.asyncDispose]();
    this.#lane?.release();
  }

  async run(): Promise<Receipt> {
    this.#connection.wire(this.#job.path); // a name that cannot be sent is not tried
    const target = await this.#target();
    if ('receipt' in target) return target.receipt;
    if (!this.#connection.memory.renames) return await this.#direct();
    const temp = tempPath(this.#job.path, this.#job.options.token);
    try {
      const receipt = await this.#byRename(temp, target.path);
      if (receipt !== undefined) return receipt;
    } catch (error) {
      await this.#cleanUp(temp, error);
      throw error;
    }
    const { memory, name } = this.#connection;
    memory.renames = false;
    memory.warn(
      `${name} does not let files be renamed: they are written under their final name, where a cut can leave a part of one`,
    );
    return await this.#direct();
  }

  /** Undefined when this server renames nothing. */
  async #byRename(temp: FilePath, path: FilePath): Promise<Receipt | undefined> {
    const { options } = this.#job;
    const replace = options.conflict === 'replace';
    const { sha256, rechecked, settled } = await this.#toTemp(temp);
    await this.#settle(temp, settled);
    await this.#verify(temp, sha256);
    await rechecked;
    this.#job.options.progress(this.#job.sizeBytes);
    const { memory, traits } = this.#connection;
    const { token } = options;
    if (replace) {
      if (memory.replaces ?? traits.replaces) {
        if (await publishQuickly(this.#connection, { temp, path, token }, () => this.#lend()))
          return this.#receipt(path, sha256);
        await this.#takeAgain();
      }
      const published = await publish(this.#connection, { temp, path, token });
      if (published === 'published') return this.#receipt(path, sha256);
      await removeIfThere(this.#connection, temp);
      return undefined;
    }
    return await memory.alone(this.#job.path, () => this.#intoFreeName(temp, sha256));
  }

  #lend(): void {
    this.#lent = !this.#own;
    this.#job.free();
  }

  /** Something is to be done after all. */
  async #takeAgain(): Promise<void> {
    if (!this.#lent) return;
    this.#lane = await this.#job.take(this.#job.options.signal);
    this.#lent = false;
  }

  async #intoFreeName(temp: FilePath, sha256: string): Promise<Receipt | undefined> {
    throwIfAborted(this.#job.options.signal);
    const { token } = this.#job.options;
    const target = await this.#target(); // again: meanwhile it may have been taken
    const published =
      'path' in target &&
      (await publish(this.#connection, { temp, path: target.path, token })) === 'published';
    if (published) return this.#receipt(target.path, sha256);
    await removeIfThere(this.#connection, temp);
    return 'receipt' in target ? target.receipt : undefined;
  }

  /** Where it goes, or that it is there already. */
  async #target(): Promise<Target> {
    const found = await findTarget(this.#connection, this.#job, this.#digest);
    if ('path' in found) return found;
    const receipt = this.#receipt(found.there, await this.#digest.sha256());
    return { receipt: { ...receipt, verified: 'checksum', alreadyThere: true } };
  }

  async #toTemp(temp: FilePath): Promise<Stored> {
    const { sizeBytes, options } = this.#job;
    const resumed = await resumePoint(this.#connection, this.#job, this.#reader, temp);
    if (resumed?.start === sizeBytes) {
      const rechecked = this.#reader.recheck(options.signal);
      return { sha256: resumed.before.digest('hex'), rechecked, settled: undefined };
    }
    if (resumable(this.#connection, this.#job)) await options.checkpoint(note());
    options.progress(resumed?.start ?? 0);
    const attributes = attributeCommands(this.#connection, this.#job, temp);
    const { inOrder } = this.#connection.traits;
    let begun = false;
    const from = (start: number, before: typeof resumed): ReturnType<typeof upload> =>
      upload({
        connection: this.#connection,
        job: this.#job,
        reader: this.#reader,
        path: temp,
        start,
        before: before?.before,
        final: false,
        after: inOrder ? this.#settling(temp, attributes) : [],
        begun: () => {
          begun = true;
        },
      });
    const uploaded = await from(resumed?.start ?? 0, resumed).catch(async (error: unknown) => {
      if (begun || resumed === undefined || this.#connection.broken !== undefined) throw error;
      throwIfAborted(options.signal);
      this.#connection.memory.restarts = false; // it said that it can, and does not let us
      return await from(0, undefined);
    });
    const { sha256, rechecked, transferred } = uploaded;
    if (transferred.state === 'done') {
      const { after: replies } = transferred;
      return { sha256, rechecked, settled: inOrder ? { attributes, replies } : undefined };
    }
    await this.#recover(transferred.fault, async () => (await sizeOf(this.#connection, temp)) === sizeBytes);
    return { sha256, rechecked, settled: undefined };
  }

  #settling(path: FilePath, attributes: readonly string[]): readonly string[] {
    return [`SIZE ${this.#connection.wire(path)}`, ...attributes];
  }

  /** Size, time and mode of what was written. */
  async #settle(path: FilePath, settled?: Settled): Promise<void> {
    const attributes = settled?.attributes ?? attributeCommands(this.#connection, this.#job, path);
    const replies = settled?.replies ?? this.#connection.control.askAll(...this.#settling(path, attributes));
    const [size, ...others] = await replies;
    attributesSet(this.#connection, attributes, others);
    if (size !== undefined) await this.#expectSize(path, size);
  }

  async #expectSize(path: FilePath, reply: Reply): Promise<void> {
    const seen = await sizeBy(this.#connection, path, reply);
    if (seen !== this.#job.sizeBytes)
      throw sizeFault(this.#job.path, this.#connection.name, seen, this.#job.sizeBytes);
  }

  async #verify(path: FilePath, sha256: string): Promise<void> {
    const { options, sizeBytes } = this.#job;
    if (options.verify !== 'checksum') return;
    if (await holds(this.#connection, { path, bytes: sizeBytes, whole: true, sha256 }, options.signal))
      return;
    throw new Fault(
      'transient',
      `${this.#connection.name}: what arrived for ${printable(this.#job.path)} is not what was sent`,
      {
        code: 'CHECKSUM_MISMATCH',
        advice: 'If it repeats, look at the disk and the memory of the server.',
      },
    );
  }

  /** Straight under the final name, which nobody else of this endpoint takes meanwhile. */
  async #direct(): Promise<Receipt> {
    return await this.#connection.memory.alone(this.#job.path, async () => {
      const target = await this.#target();
      return 'receipt' in target ? target.receipt : await this.#directTo(target.path);
    });
  }

  async #directTo(path: FilePath): Promise<Receipt> {
    const { sizeBytes, options } = this.#job;
    let begun = false;
    let committed = false;
    const before = look(this.#connection, path);
    before.catch(() => undefined); // it matters only when a reply is lost
    try {
      const { sha256, transferred } = await upload({
        connection: this.#connection,
        job: this.#job,
        reader: this.#reader,
        path,
        start: 0,
        before: undefined,
        final: true,
        after: [],
        begun: () => {
          begun = true;
        },
      });
      if (transferred.state === 'unconfirmed') {
        const old = await before.catch(() => undefined);
        await this.#recover(transferred.fault, async () => {
          const now = await look(this.#connection, path);
          return now?.sizeBytes === sizeBytes && !same(now, old);
        });
      }
      committed = true;
      await this.#settle(path);
      await this.#verify(path, sha256);
      options.progress(sizeBytes);
      return this.#receipt(path, sha256);
    } catch (error) {
      // Where a file appears only when it is complete, an attempt that was given up has changed nothing.
      const torn = begun && (committed || !this.#connection.traits.commitsAtClose);
      if (torn && this.#connection.broken === undefined) {
        await this.#connection.control.ask(`DELE ${this.#connection.wire(path)}`).catch(() => undefined);
      }
      throw error;
    }
  }

  /** @param arrived asks over the new connection. @throws Fault the one that was given, when it did not */
  async #recover(fault: Fault, arrived: () => Promise<boolean>): Promise<void> {
    const { signal } = this.#job.options;
    try {
      this.#connection = await this.#job.reconnect(signal);
      this.#own = true;
      for (let tries = 1; ; tries += 1) {
        if (await arrived()) return;
        if (tries >= SIZE_TRIES) break;
        await sleep(SIZE_EVERY_MS, undefined, { signal });
      }
    } catch {
      throwIfAborted(signal);
    }
    throw fault;
  }

  #receipt(remotePath: FilePath, sha256: string): Receipt {
    return { remotePath, sizeBytes: this.#job.sizeBytes, sha256, verified: this.#job.options.verify };
  }

  /** The temporary goes, unless the next attempt at this version can go on from it. */
  async #cleanUp(temp: FilePath, error: unknown): Promise<void> {
    if (this.#lent || this.#connection.broken !== undefined) return;
    const passing = error instanceof Fault && (error.kind === 'aborted' || error.kind === 'unreachable');
    if (passing && resumable(this.#connection, this.#job)) return;
    await removeIfThere(this.#connection, temp).catch(() => undefined);
  }
}

function same(a: Facts, b: Facts | undefined): boolean {
  return b !== undefined && a.sizeBytes === b.sizeBytes && a.mtimeMs === b.mtimeMs;
}
