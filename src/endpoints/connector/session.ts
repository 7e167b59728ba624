/** A connector as the contract's Session. There is no connection to keep: what sessions share is the connector. Throws only Faults. */

import { asFault, Fault, throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type {
  CallOptions,
  Capabilities,
  Entry,
  ListOptions,
  SendOptions,
  SendResult,
  Session,
  SourceFile,
} from '../endpoint.ts';
import type { Connector } from './connector.ts';
import { discard } from './discard.ts';
import { list, stat } from './folder.ts';
import { send } from './send.ts';

export class ConnectorSession implements Session {
  readonly capabilities: Capabilities;
  readonly #connector: Connector;
  #broken: Fault | undefined;

  constructor(connector: Connector, capabilities: Capabilities) {
    this.#connector = connector;
    this.capabilities = capabilities;
  }

  get broken(): Fault | undefined {
    return this.#broken;
  }

  send(source: SourceFile, path: FilePath, options: SendOptions): Promise<SendResult> {
    return this.#call(options, () => send(this.#connector, source, path, options));
  }

  discard(_path: FilePath, token: string, note: string | undefined, options: CallOptions): Promise<void> {
    return this.#call(options, () => discard(this.#connector, token, note, options.signal));
  }

  list(folder: FilePath, options: ListOptions): AsyncIterable<Entry> {
    return list(this.#connector, folder, options);
  }

  stat(path: FilePath, options: CallOptions): Promise<Entry | undefined> {
    return this.#call(options, () => stat(this.#connector, path, options.signal));
  }

  source(): SourceFile {
    throw this.#cannot('read');
  }

  async remove(): Promise<void> {
    throw this.#cannot('deleted');
  }

  async archive(): Promise<FilePath> {
    throw this.#cannot('moved');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The connector is the endpoint's.
  }

  /** The configuration allows no job to ask for it. */
  #cannot(what: string): Fault {
    return new Fault('permanent', `files at ${this.#connector.name} cannot be ${what}: it only takes files`, {
      code: 'EOPNOTSUPP',
    });
  }

  async #call<T>(options: CallOptions, work: () => Promise<T>): Promise<T> {
    throwIfAborted(options.signal);
    if (this.#broken !== undefined) throw this.#broken;
    try {
      return await work();
    } catch (error) {
      throwIfAborted(options.signal);
      const fault = asFault(error, options.signal);
      // The next connect looks whether AWS can be reached. A source's trouble is another endpoint's.
      if (fault.kind === 'unreachable' && fault.endpoint === undefined) this.#broken ??= fault;
      throw fault;
    }
  }
}
