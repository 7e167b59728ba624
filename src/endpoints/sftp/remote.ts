/** What every operation on a live session needs: the wire, what this server can do, and what was learned of it. */

import { unlessAborted } from '../../roads/road.ts';
import { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { diskFullFault, fileFault, readOnlyFault, STATUS, statusOf } from './faults.ts';
import { Folders } from './folders.ts';
import type { HostKey } from './hostkeys.ts';
import type { Link } from './link.ts';
import type { SftpSettings } from './settings.ts';
import type { Window } from './window.ts';
import type { Wire } from './wire.ts';

export interface Remote {
  /** The endpoint's name. */
  readonly name: string;
  readonly link: Link;
  readonly wire: Wire;
  readonly traits: Traits;
  readonly hostKey: HostKey;
  /** As negotiated, towards the server. */
  readonly cipher: string;
  /** Shared by all sessions of the endpoint. */
  readonly memory: Memory;
  /** Bytes being written. */
  readonly window: Window;
  /** Bytes being read. */
  readonly readWindow: Window;
}

/** What a server can do, from its identification, its extensions and the settings. */
export interface Traits {
  readonly kind: 'openssh' | 'aws-transfer' | 'generic';
  /** Requests on one handle may be sent without waiting for each other: they are done, and answered, in order. */
  readonly inOrder: boolean;
  readonly posixRename: boolean;
  /** Several handles, also of several sessions, may write to one file at any position. */
  readonly positionalWrites: boolean;
  readonly setsMtime: boolean;
  /** fsync@openssh.com is offered and asked for. */
  readonly sync: boolean;
  /** Files appear under their final name only when their handle is closed. */
  readonly commitsAtClose: boolean;
}

export function traitsOf(ident: string, wire: Wire, settings: SftpSettings): Traits {
  const offers = (extension: string): boolean => extension in wire.extensions;
  const found = /^AWS_SFTP/.test(ident) ? 'aws-transfer' : isOpenSsh(ident, offers) ? 'openssh' : 'generic';
  const kind = settings.server === 'auto' ? found : settings.server;
  return {
    kind,
    inOrder: kind === 'openssh',
    posixRename: offers('posix-rename@openssh.com'),
    positionalWrites: kind === 'openssh',
    setsMtime: kind !== 'aws-transfer',
    sync: settings.sync && offers('fsync@openssh.com'),
    commitsAtClose: kind === 'aws-transfer',
  };
}

/** OpenSSH's sftp-server, also behind Dropbear, and our own; its extensions are there unless they were all denied. */
function isOpenSsh(ident: string, offers: (extension: string) => boolean): boolean {
  if (!/^(OpenSSH|dropbear|FerrySandbox)/.test(ident)) return false;
  return offers('statvfs@openssh.com') || offers('posix-rename@openssh.com') || offers('limits@openssh.com');
}

/** What was learned of an endpoint while it was used. */
export class Memory {
  readonly folders = new Folders();
  /** Files that are aside at this moment: see aside.ts. */
  readonly aside = new Set<FilePath>();
  /** False once it was seen (or told) that the server renames nothing. */
  renames: boolean;
  /** The program that computes SHA-256 there; undefined while nobody asked, false where there is none. */
  sha256Tool: string | false | undefined;
  /** Family of the host key that was accepted last: asked for first. */
  family: string | undefined;
  readonly #warn: (message: string) => void;
  readonly #warned = new Set<string>();
  readonly #atWork = new Map<FilePath, Promise<void>>();

  constructor(renames: boolean, warn: (message: string) => void) {
    this.renames = renames;
    this.#warn = warn;
  }

  /**
   * Runs work on a temporary when no other does: an attempt that was given up may still be ending.
   * @throws Fault `aborted` when it is told to stop while it waits
   */
  async alone<T>(temp: FilePath, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (let other = this.#atWork.get(temp); other !== undefined; other = this.#atWork.get(temp)) {
      await unlessAborted(other, signal);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#atWork.set(temp, promise);
    try {
      return await work();
    } finally {
      this.#atWork.delete(temp);
      resolve();
    }
  }

  /** Once each. */
  warn(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.#warn(message);
  }
}

/** As `fileFault`, and asks whether the disk is full or read-only where the server gives no reason. */
export async function explain(
  remote: Remote,
  error: unknown,
  doing: string,
  path: FilePath,
  bytes = 1,
): Promise<Fault> {
  if (error instanceof Fault) return error;
  const fault = fileFault(error, doing, path, remote.name);
  if (statusOf(error) !== STATUS.failure || remote.link.broken !== undefined) return fault;
  const folder = path.slice(0, Math.max(0, path.lastIndexOf('/'))) || (path.startsWith('/') ? '/' : '.');
  const room = await remote.wire.room(folder).catch(() => undefined);
  if (room?.readOnly) return readOnlyFault(doing, path, remote.name, error);
  const full = room !== undefined && (room.bytes < bytes || room.files === 0);
  return full ? diskFullFault(doing, path, remote.name, error) : fault;
}
