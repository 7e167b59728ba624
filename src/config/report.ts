/** Collects what reading the configuration finds: problems and warnings with their places, and the files that were read. */

import { readFile } from 'node:fs/promises';
import { isAbsolute, relative } from 'node:path';
import { type Advice, byPlace, type Finding, type Findings, type Problem } from './problems.ts';
import { whyUnreadable } from './secret-files.ts';
import { readYaml, type YamlFile } from './yaml.ts';

export class Report {
  readonly #cwd: string;
  readonly #problems: Problem[] = [];
  readonly #warnings: Problem[] = [];
  readonly #files = new Set<string>();

  /** @param cwd files below it are named as seen from there */
  constructor(cwd: string) {
    this.#cwd = cwd;
  }

  get problems(): readonly Problem[] {
    return this.#problems.toSorted(byPlace);
  }

  get warnings(): readonly Problem[] {
    return this.#warnings.toSorted(byPlace);
  }

  get files(): readonly string[] {
    return [...this.#files];
  }

  /** How messages name a file. */
  display(file: string): string {
    const way = relative(this.#cwd, file);
    return way === '' || way.startsWith('..') || isAbsolute(way) ? file : way;
  }

  /** About a file or folder as a whole. */
  problem(file: string, advice: Advice): void {
    this.#problems.push({ file: this.display(file), line: 0, column: 0, ...advice });
  }

  warning(file: string, advice: Advice): void {
    this.#warnings.push({ file: this.display(file), line: 0, column: 0, ...advice });
  }

  add(yaml: YamlFile, { problems, warnings, files }: Findings): void {
    this.#problems.push(...problems.map((finding) => placed(yaml, finding)));
    this.#warnings.push(...warnings.map((finding) => placed(yaml, finding)));
    for (const file of files) this.#files.add(file);
  }

  /** Reads a YAML file; undefined when that fails, which is then a problem, as its syntax errors are. */
  async read(file: string): Promise<YamlFile | undefined> {
    this.#files.add(file);
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
      const yaml = readYaml(text, this.display(file));
      this.#problems.push(...yaml.problems);
      return yaml;
    } catch (error) {
      this.problem(file, { message: whyUnreadable(error) });
      return undefined;
    }
  }
}

function placed(yaml: YamlFile, { path, on, message, remedy }: Finding): Problem {
  return { file: yaml.file, ...yaml.at(path, on), message, ...(remedy === undefined ? {} : { remedy }) };
}
