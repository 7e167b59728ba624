/**
 * A bucket over a live client: where every request goes through. It bounds how many are under way, ends them with
 * their signal, turns what goes wrong into Faults and remembers when the connection itself has failed.
 */

import type { S3 } from '@aws-sdk/client-s3';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { answerOf, isNetworkTrouble } from './answer.ts';
import type { Client } from './client.ts';
import type { Doing, Where } from './fault-rule.ts';
import { s3Fault } from './faults.ts';
import { keyOf } from './keys.ts';
import type { Memory } from './memory.ts';
import type { S3Settings } from './settings.ts';

/** What each call of the SDK gets besides its input. */
export interface Http {
  readonly abortSignal: AbortSignal;
}

export interface BucketOptions {
  /** Of the endpoint. */
  readonly name: string;
  readonly settings: S3Settings;
  /** Of ~/.aws/config, where one is asked for. */
  readonly profile: string | undefined;
  readonly client: Client;
  readonly memory: Memory;
}

export class Bucket {
  readonly name: string;
  readonly settings: S3Settings;
  readonly client: Client;
  readonly memory: Memory;
  readonly #profile: string | undefined;
  #broken: Fault | undefined;

  constructor({ name, settings, profile, client, memory }: BucketOptions) {
    this.name = name;
    this.settings = settings;
    this.#profile = profile;
    this.client = client;
    this.memory = memory;
  }

  /** Set once a connection was lost or could not be made. */
  get broken(): Fault | undefined {
    return this.#broken;
  }

  get where(): Where {
    const { bucket } = this.settings;
    return { name: this.name, bucket, profile: this.#profile, host: this.client.host };
  }

  /** @throws Fault `permanent` for a name that S3 cannot hold */
  at(path: FilePath): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.settings.bucket, Key: keyOf(this.settings.prefix, path) };
  }

  /** One request, with whatever body its answer has. Throws only Faults; `answer.ts` tells what S3 said in them. */
  async call<T>(doing: Doing, signal: AbortSignal, ask: (s3: S3, http: Http) => Promise<T>): Promise<T> {
    using _slot = await this.memory.requests.take(1, signal);
    return await this.client.renewal.over(() => this.#ask(doing, signal, ask), signal);
  }

  async #ask<T>(doing: Doing, signal: AbortSignal, ask: (s3: S3, http: Http) => Promise<T>): Promise<T> {
    try {
      return await orAborted(ask(this.client.s3, { abortSignal: signal }), signal);
    } catch (error) {
      throwIfAborted(signal);
      const fault = s3Fault(error, doing, this.where);
      if (isNetworkTrouble(answerOf(error))) this.#broken ??= fault;
      throw fault;
    }
  }

  /** What an object of ours is encrypted with and kept in. */
  get storing() {
    const { storageClass, sseKmsKeyId } = this.settings;
    return {
      ...(storageClass === undefined ? {} : { StorageClass: storageClass as StorageClassName }),
      ...(sseKmsKeyId === undefined
        ? {}
        : { ServerSideEncryption: 'aws:kms' as const, SSEKMSKeyId: sseKmsKeyId }),
    };
  }
}

/** The SDK lists AWS's own; other servers have others. */
type StorageClassName = NonNullable<Parameters<S3['putObject']>[0]['StorageClass']>;

/** Not every wait of the SDK hears of an abort: looking for credentials does not. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(new Fault('aborted', 'stopped before it was done'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
