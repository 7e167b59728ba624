/** A terminal that can be read: enough of one to see what a person would see. */

import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';

export class Screen extends Writable {
  readonly isTTY = true;
  columns = 80;
  rows = 24;
  /** Everything that was written. */
  written = '';
  #lines: string[] = [''];
  #row = 0;
  #column = 0;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const text = chunk.toString('utf8');
    this.written += text;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is made of them
    for (const [piece, sequence] of text.matchAll(/\u001b\[([0-9;?]*[A-Za-z])|[\s\S]/gu)) {
      if (sequence === undefined) this.#put(piece);
      else this.#obey(sequence.at(-1) ?? '', sequence.slice(0, -1));
    }
    done();
  }

  /** Lines without colours; the last empty ones left out. */
  get lines(): readonly string[] {
    const lines = this.#lines.map((line) => stripVTControlCharacters(line).trimEnd());
    while (lines.at(-1) === '') lines.pop();
    return lines;
  }

  #put(char: string): void {
    if (char === '\n') {
      this.#row += 1;
      this.#column = 0;
      this.#lines[this.#row] ??= '';
      return;
    }
    if (char === '\r') {
      this.#column = 0;
      return;
    }
    const line = [...(this.#lines[this.#row] ?? '').padEnd(this.#column)];
    line[this.#column] = char;
    this.#lines[this.#row] = line.join('');
    this.#column += 1;
  }

  #obey(command: string, argument: string): void {
    const count = Number(argument || '1');
    if (command === 'A') this.#row = Math.max(0, this.#row - count);
    else if (command === 'B') this.#row += count;
    else if (command === 'G') this.#column = count - 1;
    else if (command === 'K') {
      const line = this.#lines[this.#row] ?? '';
      this.#lines[this.#row] = argument === '2' ? '' : line.slice(0, this.#column);
    } else if (!['h', 'l', 'm'].includes(command))
      throw new Error(`the test's terminal does not know CSI ${argument}${command}`);
  }
}
