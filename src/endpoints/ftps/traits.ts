/** What a server can do, from its greeting, FEAT, SYST, its name and the settings; and what was learned since. */

import type { FilePath } from '../../sync/names.ts';
import type { NameRules } from './names.ts';
import type { FtpsSettings } from './settings.ts';

export interface Traits {
  readonly kind: 'aws-transfer' | 'generic';
  /** vsftpd sets times by MDTM with a time before the name. */
  readonly setTime: 'MFMT' | 'MDTM' | undefined;
  /** MLST and MLSD. */
  readonly facts: boolean;
  /** A transfer can start in the middle of a file. */
  readonly restart: boolean;
  readonly hash: boolean;
  readonly range: boolean;
  readonly xsha256: boolean;
  /** Files appear under their final name only when they are complete. */
  readonly commitsAtClose: boolean;
  /** Known to replace an existing file on rename. */
  readonly replaces: boolean;
  /** Known to take names that are not UTF-8 as they are: others may change them without a word. */
  readonly byteNames: boolean;
  readonly telnet: NameRules['telnet'];
  /** Known to look at no command before the transfer that is under way has ended (ProFTPD answers at once, and refuses). */
  readonly inOrder: boolean;
  /** Known to take a session ticket more than once. */
  readonly ticketsLast: boolean;
}

/** Servers that lose commands which they get before they asked for them (lftp's list). */
const IN_STEP = /icrosoft FTP Service|MadGoat|MikroTik/;
/** Names that AWS gives to its servers and to their VPC endpoints. */
const AWS_NAME = /\.server\.transfer\.[a-z0-9-]+(?:\.vpce)?\.amazonaws\.com(?:\.cn)?$/i;
const AWS_SAYS = /\bAWS\b|Transfer Family/;
/** What Transfer Family is built on; with that, and without REST, it can hardly be anything else. */
const AWS_LIKE = /Apache FtpServer|Service ready for new user/i;

/** These rename as POSIX does, and take names as the bytes that they are. */
const POSIX = /vsFTPd|ProFTPD|Pure-FTPd/;

export interface Answers {
  readonly greeting: string;
  readonly system: string;
  readonly features: ReadonlyMap<string, string>;
}

export function pipelines(greeting: string): boolean {
  return !IN_STEP.test(greeting);
}

export function traitsOf(settings: FtpsSettings, { greeting, system, features }: Answers): Traits {
  const restart = /STREAM/i.test(features.get('REST') ?? '');
  const said = `${greeting}\n${system}`;
  const found =
    AWS_NAME.test(settings.host) || AWS_SAYS.test(said) || (AWS_LIKE.test(said) && !features.has('REST'))
      ? 'aws-transfer'
      : 'generic';
  const kind = settings.server === 'auto' ? found : settings.server;
  const aws = kind === 'aws-transfer';
  const posix = !aws && POSIX.test(greeting);
  const vsftpd = /vsFTPd/.test(greeting);
  return {
    kind,
    setTime: features.has('MFMT') ? 'MFMT' : vsftpd && features.has('MDTM') ? 'MDTM' : undefined,
    facts: features.has('MLST') || features.has('MLSD'),
    restart: restart && !aws,
    hash: /\bSHA-256\b/i.test(features.get('HASH') ?? ''),
    range: features.has('RANG'),
    xsha256: features.has('XSHA256'),
    commitsAtClose: aws,
    replaces: posix,
    byteNames: posix,
    inOrder: vsftpd,
    ticketsLast: vsftpd,
    telnet: vsftpd ? 'plain' : /ProFTPD/.test(greeting) ? 'double' : 'never',
  };
}

/** What was learned of an endpoint while it was used; shared by all its sessions. */
export class Memory {
  /** False once it was seen (or told) that files are to be written under their final name. */
  renames: boolean;
  /** Whether a rename replaces an existing file; undefined while nobody has seen it. */
  replaces: boolean | undefined;
  /** How data connections are asked for. */
  passive: 'EPSV' | 'PASV' = 'EPSV';
  /** False once the server refused to set the time of a file, or its mode, or to go on with one. */
  setsTime = true;
  setsMode = true;
  restarts = true;
  /** False once it was seen that it loses commands which it gets before it has answered the one before. */
  pipelines = true;
  /** The server closes its side of a data connection when it has read the end of ours. */
  closesData = true;
  /** Folders that are known to be there. */
  readonly folders = new Set<FilePath>();
  /** Files that are aside at this moment: see aside.ts. */
  readonly aside = new Set<FilePath>();
  readonly #warn: (message: string) => void;
  readonly #warned = new Set<string>();
  readonly #held = new Map<FilePath, Promise<void>>();

  constructor(renames: boolean, warn: (message: string) => void) {
    this.renames = renames;
    this.#warn = warn;
  }

  /** Each thing once. */
  warn(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.#warn(message);
  }

  /**
   * Work that looks at a name and then takes it: one after the other for each name, since FTP has no rename that
   * refuses a taken one. Among the sessions of this endpoint nothing is overwritten so; others are not seen.
   */
  async alone<T>(path: FilePath, work: () => Promise<T>): Promise<T> {
    for (let held = this.#held.get(path); held !== undefined; held = this.#held.get(path)) await held;
    const done = Promise.withResolvers<void>();
    this.#held.set(path, done.promise);
    try {
      return await work();
    } finally {
      this.#held.delete(path);
      done.resolve();
    }
  }
}
