/**
 * What an ssh_config says of one host: the first value that fits counts, as ssh_config(5) has it, with `Host`, `Match`
 * and a second pass where `Match final` asks for one. Commands of `Match exec` are never run.
 */

import { fits, fitsAny } from './patterns.ts';
import type { Statement } from './ssh-config-file.ts';

export interface HostQuestion {
  /** As one would give it to ssh. */
  readonly alias: string;
  /** What is known already and wins, as options on ssh's command line do. */
  readonly hostName?: string;
  readonly user?: string;
  readonly localUser: string;
}

export interface HostAnswer {
  /** By keyword in small letters; several only where ssh takes several. */
  readonly values: ReadonlyMap<string, readonly Statement[]>;
  /** The alias is meant by a `Host` that does not fit everything. */
  readonly known: boolean;
  /** `Match` lines that could not be judged and were taken not to fit, and why. */
  readonly passedOver: readonly { readonly statement: Statement; readonly why: string }[];
}

/** Every value counts, not only the first. */
const SEVERAL = new Set(['identityfile', 'certificatefile']);

export function askSshConfig(statements: readonly Statement[], question: HostQuestion): HostAnswer {
  const pass = new Pass(question);
  pass.walk(statements, true);
  if (pass.wantsFinal) pass.again(statements);
  return { values: pass.values, known: pass.known, passedOver: [...pass.passedOver.values()] };
}

class Pass {
  readonly values = new Map<string, Statement[]>();
  readonly passedOver = new Map<Statement, { statement: Statement; why: string }>();
  known = false;
  wantsFinal = false;
  #final = false;
  /** What `Host` is compared with. */
  #host: string;
  readonly #question: HostQuestion;

  constructor(question: HostQuestion) {
    this.#question = question;
    this.#host = question.alias;
  }

  /** @param parent whether the place that includes these lines applies */
  walk(statements: readonly Statement[], parent: boolean): void {
    let applies = parent;
    for (const statement of statements) {
      const { keyword, args, included } = statement;
      if (keyword === 'host') applies = parent && this.#isHost(args);
      else if (keyword === 'match') applies = parent && this.#fits(statement);
      else if (included !== undefined) for (const file of included) this.walk(file, applies);
      else if (applies) this.#set(statement);
    }
  }

  again(statements: readonly Statement[]): void {
    this.#final = true;
    this.#host = this.#hostName;
    this.walk(statements, true);
  }

  #isHost(patterns: readonly string[]): boolean {
    const found = fitsAny(patterns, this.#host);
    if (found && patterns.some((pattern) => !/^[!*]/.test(pattern) && fits(pattern, this.#host)))
      this.known = true;
    return found;
  }

  #isNamed(patterns: string, host: string): boolean {
    const found = fitsAny(patterns.toLowerCase().split(','), host.toLowerCase());
    if (found) this.known = true;
    return found;
  }

  get #hostName(): string {
    const { alias, hostName } = this.#question;
    const written = this.values.get('hostname')?.[0]?.args[0];
    return hostName ?? written?.replaceAll('%h', alias).replaceAll('%%', '%') ?? alias;
  }

  #set(statement: Statement): void {
    const { keyword } = statement;
    const rival =
      keyword === 'proxyjump' ? 'proxycommand' : keyword === 'proxycommand' ? 'proxyjump' : undefined;
    if (rival !== undefined && this.values.has(rival)) return;
    const before = this.values.get(keyword);
    if (before === undefined) this.values.set(keyword, [statement]);
    else if (SEVERAL.has(keyword) && !before.some(({ args }) => args[0] === statement.args[0]))
      before.push(statement);
  }

  /** Criteria are judged from left to right; one that does not fit ends it. */
  #fits(statement: Statement): boolean {
    const words = [...statement.args];
    for (let word = words.shift(); word !== undefined; word = words.shift()) {
      const negated = word.startsWith('!');
      const criterion = word.slice(negated ? 1 : 0).toLowerCase();
      const fit = this.#criterion(criterion, () => words.shift() ?? '');
      if (fit === undefined) {
        const why =
          criterion === 'exec'
            ? 'Ferry runs no command for "Match exec"'
            : `Ferry does not know "Match ${criterion}"`;
        this.passedOver.set(statement, { statement, why });
        return false;
      }
      if (fit === negated) return false;
    }
    return true;
  }

  /** @returns undefined where it cannot be told */
  #criterion(criterion: string, value: () => string): boolean | undefined {
    const { alias, user, localUser } = this.#question;
    const among = (text: string): boolean => fitsAny(value().split(','), text);
    switch (criterion) {
      case 'all':
        return true;
      case 'canonical':
        return false; // Ferry does not look for canonical names
      case 'final':
        this.wantsFinal = true;
        return this.#final;
      case 'host':
        return this.#isNamed(value(), this.#hostName);
      case 'originalhost':
        return this.#isNamed(value(), alias);
      case 'user':
        return among(user ?? this.values.get('user')?.[0]?.args[0] ?? localUser);
      case 'localuser':
        return among(localUser);
      default:
        return undefined;
    }
  }
}
