/** One delivery through a connector as the queue makes it: called again and again with its last note, over sessions and restarts. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectorEndpoint } from '../../../src/endpoints/connector/endpoint.ts';
import type { Receipt, SendOptions, SendResult, SourceFile } from '../../../src/endpoints/endpoint.ts';
import { options } from '../../contract/endpoint/kit.ts';
import { generatedSource } from '../../support/source.ts';
import { calm } from './kit.ts';

export interface Noted {
  readonly text: string;
  readonly underWay: boolean;
}

export class Sending {
  readonly source: SourceFile;
  readonly path: string;
  /** Every checkpoint, oldest first. */
  readonly notes: Noted[] = [];
  readonly #options: Partial<SendOptions>;

  constructor(path: string, more: Partial<SendOptions> = {}, source: SourceFile = fileOf(path)) {
    this.path = path;
    this.source = source;
    this.#options = more;
  }

  get last(): Noted | undefined {
    return this.notes.at(-1);
  }

  get phase(): string | undefined {
    const text = this.last?.text;
    return text === undefined ? undefined : String(JSON.parse(text).phase);
  }

  /** One call. */
  async once(endpoint: ConnectorEndpoint): Promise<SendResult> {
    await using session = await endpoint.connect(calm.signal);
    return await session.send(this.source, this.path, {
      ...options(this.#options),
      resume: this.last?.text,
      checkpoint: async (text, underWay = false) => {
        this.notes.push({ text, underWay });
        await this.#options.checkpoint?.(text, underWay);
      },
    });
  }

  /** Until it has arrived. */
  async toTheEnd(endpoint: ConnectorEndpoint): Promise<Receipt> {
    for (;;) {
      const result = await this.once(endpoint);
      if (result.state === 'done') return result.receipt;
      await sleep(result.checkAfterMs);
    }
  }

  /** Until a note of that phase is written, or the end. */
  async until(phase: string, endpoint: ConnectorEndpoint): Promise<void> {
    while (this.phase !== phase) {
      const result = await this.once(endpoint);
      if (result.state === 'done') throw new Error(`it arrived before it was ${phase}`);
      await sleep(result.checkAfterMs);
    }
  }
}

export function fileOf(seed: string, sizeBytes = 2_000) {
  return generatedSource({ sizeBytes, seed });
}
