/**
 * Reads an ssh_config with what it includes. The library takes single lines apart, so that each is known by file and
 * line; its own look-up is not used, for it runs the commands of `Match exec`.
 */

import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import SSHConfig from 'ssh-config';
import { codeOf, messageOf } from '../../sync/errors.ts';

/** One line. */
export interface Statement {
  /** In small letters. */
  readonly keyword: string;
  /** As it is written. */
  readonly name: string;
  readonly args: readonly string[];
  /** All behind the keyword, as it stands there: commands are not taken apart. */
  readonly rest: string;
  readonly file: string;
  readonly line: number;
  /** Of an `Include`: the files, one after the other. */
  readonly included?: readonly (readonly Statement[])[];
}

/** What a person must mend, and where. */
export interface SshConfigProblem {
  readonly file: string;
  /** 0: the file as a whole. */
  readonly line: number;
  readonly message: string;
}

export interface SshConfigFile {
  readonly statements: readonly Statement[];
  /** All that were read, absolute. */
  readonly files: readonly string[];
  readonly problems: readonly SshConfigProblem[];
}

/** As ssh has it. */
const DEEPEST = 16;
const SYSTEM = '/etc/ssh';

/** @param file `undefined`: those that ssh reads, the user's and the system's, as far as they are there */
export async function readSshConfig(file: string | undefined, home: string): Promise<SshConfigFile> {
  const reader = new Reader(home);
  const own = join(home, '.ssh');
  if (file !== undefined) return reader.result(await reader.read(file, own, true));
  const user = await reader.read(join(own, 'config'), own, false);
  const system = await reader.read(join(SYSTEM, 'ssh_config'), SYSTEM, false);
  if (reader.isEmpty) reader.problem(join(own, 'config'), 0, 'there is no such file');
  return reader.result([...user, ...system]);
}

class Reader {
  readonly #home: string;
  readonly #files = new Set<string>();
  readonly #problems: SshConfigProblem[] = [];

  constructor(home: string) {
    this.#home = home;
  }

  get isEmpty(): boolean {
    return this.#files.size === 0;
  }

  problem(file: string, line: number, message: string): void {
    this.#problems.push({ file, line, message });
  }

  result(statements: readonly Statement[]): SshConfigFile {
    return { statements, files: [...this.#files], problems: this.#problems };
  }

  /** @param folder where the paths of `Include` start */
  async read(file: string, folder: string, needed: boolean, depth = 0): Promise<readonly Statement[]> {
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      const missing = codeOf(error) === 'ENOENT';
      const why = missing ? 'there is no such file' : `it cannot be read: ${messageOf(error)}`;
      if (needed || !missing) this.problem(file, 0, why);
      return undefined;
    });
    if (text === undefined) return [];
    this.#files.add(file);
    const statements: Statement[] = [];
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      const statement = this.#parse(line, file, index + 1);
      if (statement?.keyword !== 'include') {
        if (statement !== undefined) statements.push(statement);
      } else if (depth === DEEPEST)
        this.problem(file, index + 1, 'Include goes too deep, or round in a circle');
      else statements.push({ ...statement, included: await this.#include(statement, folder, depth) });
    }
    return statements;
  }

  #parse(text: string, file: string, line: number): Statement | undefined {
    try {
      const [parsed] = SSHConfig.parse(text.trim());
      if (parsed === undefined || !('param' in parsed) || parsed.param === '') return undefined;
      const { param, separator, value } = parsed;
      const args = typeof value === 'string' ? [value] : value.map(({ val }) => val);
      if (args.every((arg) => arg === '')) throw new Error('empty');
      const rest = text.trim().slice(param.length + separator.length);
      return { keyword: param.toLowerCase(), name: param, args, rest, file, line };
    } catch {
      const keyword = /^\s*([^\s=]+)/.exec(text)?.[1] ?? '';
      this.problem(file, line, `${keyword} has no value, or a quote without its partner`);
      return undefined;
    }
  }

  async #include(
    { args }: Statement,
    folder: string,
    depth: number,
  ): Promise<readonly (readonly Statement[])[]> {
    const found: (readonly Statement[])[] = [];
    for (const pattern of args) {
      const path = pattern.startsWith('~/')
        ? join(this.#home, pattern.slice(2))
        : pattern.startsWith('/')
          ? pattern
          : join(folder, pattern);
      const names = await Array.fromAsync(glob(path));
      for (const name of names.toSorted()) found.push(await this.read(name, folder, false, depth + 1));
    }
    return found;
  }
}
