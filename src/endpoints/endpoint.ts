/**
 * The contract of an endpoint: a named place where files live.
 *
 * A `Session` says what went wrong; it never decides when to try again. Every call throws only `Fault`s
 * (sync/errors.ts), takes an AbortSignal, has deadlines of its own, and leaves nothing running when it ends.
 * test/contract/endpoint.ts holds every implementation to these comments.
 */

import type { Fault } from '../sync/errors.ts';
import type { FilePath } from '../sync/names.ts';

/** What an endpoint can do, as plain data. On a `Session` it is what was negotiated, on an `Endpoint` what to expect. */
export interface Capabilities {
  /** Rename replaces an existing file in one step: under its final name a file is complete or absent. */
  readonly atomicRename: boolean;
  /** Without `atomicRename`: the final name appears, whole, only when the writer closes or completes (S3). */
  readonly commitsAtClose: boolean;
  /** How many files one session may have in flight. */
  readonly filesInFlight: number;
  /** A cut transfer can go on from where it was. */
  readonly resume: boolean;
  /** Several sessions may write different ranges of one file at once. */
  readonly positionalWrites: boolean;
  /** Where `verify: checksum` gets its answer: computed there, confirmed by the service, or by reading back. */
  readonly checksum: 'remote' | 'service' | 'read-back';
  /** The modification time of a delivered file can be set. */
  readonly setsMtime: boolean;
  /** `send` may answer "accepted"; the same call with that checkpoint asks after it later. */
  readonly asynchronous: boolean;
  /** Names that are not UTF-8 can be carried. */
  readonly byteNames: boolean;
  /** How far the clock that dates its files may be off this host's; 0 where it is this host's own. */
  readonly clockSkewMs: number;
}

/** What to expect of a server's clock: one that is further off breaks more than Ferry. */
export const SERVER_CLOCK_SKEW_MS = 10 * 60_000;

/** One version of a file. Two versions are the same when size, mtime and inode (or tag) are. */
export interface FileVersion {
  readonly sizeBytes: number;
  /** Milliseconds since the epoch, as precise as the place knows it. */
  readonly mtimeMs: number;
  /** Inode, ETag or version id; '' where the place has none. */
  readonly tag: string;
}

export function sameVersion(a: FileVersion, b: FileVersion): boolean {
  return a.sizeBytes === b.sizeBytes && a.mtimeMs === b.mtimeMs && a.tag === b.tag;
}

export interface Entry {
  /** As the call's path plus what is below it: the path to give back to `read`, `stat` or `remove`. */
  readonly path: FilePath;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly version: FileVersion;
  /** Latest moment at which the place says that anything about the file changed (ctime where there is one). */
  readonly changedMs: number;
  /** Unix permission bits, where the place has them. */
  readonly mode?: number;
}

/** The evidence that a file arrived. */
export interface Receipt {
  /** Where it is: differs from the asked path only under `conflict: rename`. */
  readonly remotePath: FilePath;
  readonly sizeBytes: number;
  /** SHA-256 of the bytes that were sent, lower-case hex; undefined only where the bytes did not pass through here. */
  readonly sha256: string | undefined;
  /** How the far side confirmed it. */
  readonly verified: 'size' | 'checksum';
  /** The far side's own name for it: an ETag, a version id, a TransferId. */
  readonly reference?: string;
  /** The same content was already there under the final name, and nothing was sent. */
  readonly alreadyThere?: boolean;
}

export type SendResult =
  | { readonly state: 'done'; readonly receipt: Receipt }
  /** Accepted but not confirmed: call `send` again after `checkAfterMs`. The reference is in the checkpoint already. */
  | { readonly state: 'pending'; readonly checkAfterMs: number };

/** An object in S3, for a service that takes it from there by itself. */
export interface S3Object {
  readonly bucket: string;
  readonly key: string;
}

/** A source that every attempt opens again. */
export interface SourceFile {
  /** For messages: the path in the job. */
  readonly path: FilePath;
  readonly version: FileVersion;
  /** It lies on this host: reading it twice costs little. */
  readonly near?: boolean;
  /** Where it lies in S3, if it does. */
  readonly object?: S3Object;
  /** @throws Fault `vanished` | `changed` (it is another version already) | `permanent` (not readable) */
  open(signal: AbortSignal): Promise<SourceReader>;
}

export interface SourceReader extends AsyncDisposable {
  /**
   * The bytes from `start` up to `end` (exclusive), in order, in chunks of at most `CHUNK_BYTES`. Several may
   * be read at once. A chunk is the caller's to keep.
   * @throws Fault `changed` when the file ends early, `transient` when it cannot be read
   */
  read(start: number, end: number, signal: AbortSignal): AsyncIterable<Buffer>;
  /** A chunk that the caller needs no more: a later `read` may use its memory again. */
  giveBack?(chunk: Buffer): void;
  /** The whole of a small file (at most `SMALL_BYTES`) in as few calls as the place allows. Same errors. */
  readAll(signal: AbortSignal): Promise<Buffer>;
  /**
   * Looks again. @throws Fault `changed` when it is no longer the version that was opened, by path or by content.
   * @param sent gives the SHA-256 (lower-case hex) of what was read. Where a place sees that the file was touched, but not
   * whether its content was (its ctime), it reads it again and compares; without, it takes it to have changed.
   */
  recheck(signal: AbortSignal, sent?: () => string | Promise<string>): Promise<void>;
}

/** Largest chunk that a `SourceReader` gives: a multiple of 32 KiB, below OpenSSH's 261,120-byte write limit. */
export const CHUNK_BYTES = 229_376;
/** Up to here a file is read whole, in one piece. */
export const SMALL_BYTES = 229_376;

export interface CallOptions {
  readonly signal: AbortSignal;
}

export interface MountOptions extends CallOptions {
  /** The folder is meant as the target of `archive`. */
  readonly archive?: boolean;
}

export interface SendOptions extends CallOptions {
  readonly conflict: 'replace' | 'skip' | 'rename' | 'fail';
  readonly verify: 'size' | 'checksum';
  /** Names this job, destination and path, and stays the same over attempts and versions: [a-z0-9]{16}. Part of the temporary's name. */
  readonly token: string;
  /** Unix permission bits to set, where asked. */
  readonly mode?: number;
  /** Set the remote mtime to the source's (default of a job: true). */
  readonly preserveMtime: boolean;
  /** Other idle sessions of the same endpoint that may help with this file (capability `positionalWrites`). */
  readonly helpers: readonly Session[];
  /** What an earlier attempt at this same version gave to `checkpoint` last. */
  readonly resume: string | undefined;
  /**
   * Puts a note into the ledger (an upload id, a TransferId); it is durable when the promise resolves. `underWay`: from
   * now on the far side may be at work by itself, so that until a later checkpoint without it, or the end, no newer
   * version takes this one's place and nothing else is sent to that path.
   */
  checkpoint(note: string, underWay?: boolean): Promise<void>;
  /** Bytes confirmed by the far side so far, for progress; may go down after a restart from zero. */
  progress(confirmedBytes: number): void;
  /**
   * Called when what is left to do (a rename on its way) is in no other file's way, at most once: the session may be
   * given the next file before this one is done.
   */
  readonly freed?: () => void;
  /** Other files wait for a session of this endpoint: what readies one for its next file pays. Default: none do. */
  readonly awaited?: () => boolean;
}

export interface ListOptions extends CallOptions {
  /** Walk folders below; default true. */
  readonly recursive?: boolean;
  /** Folders (paths as in `Entry.path`) for which this says false are not entered. */
  readonly enter?: (folder: FilePath) => boolean;
  /** Told of each folder or entry that could not be looked at; the others are still listed. */
  readonly unreadable?: (path: FilePath, fault: Fault) => void;
  /** Change nothing there; default: what a `remove` or `archive` that was cut short has left aside is put back. */
  readonly lookOnly?: boolean;
}

export interface ProbeOptions extends CallOptions {
  /**
   * What jobs do there: `write` (the default) may write, rename and delete; `read` only lists and reads; `forward`
   * is a jump host, on which nobody opens a file.
   */
  readonly use?: 'write' | 'read' | 'forward';
  /** Measures as well, where the endpoint can, after how long without traffic a connection is dropped. */
  readonly idle?: {
    /** Connections sit idle for so long at most; default: a bit more than load balancers usually wait. */
    readonly upToMs?: number;
  };
}

/** One step of `probe`, for `ferry check`. */
export interface ProbeStep {
  /** e.g. `name`, `tcp`, `banner`, `host key`, `login`, `folder`, `write`, `rename`, `delete`, `capabilities`. */
  readonly step: string;
  /** The jump host whose step it is; absent: the endpoint's own. */
  readonly host?: string;
  readonly ok: boolean;
  /** What was seen. */
  readonly saw: string;
  /** What that usually means, where it failed or deserves a warning. */
  readonly means?: string;
  /** What to do next. */
  readonly advice?: string;
  /** It goes on, and another step of the same name tells how it ended. */
  readonly underway?: boolean;
  /** The step succeeded, but with something worth telling. */
  readonly warning?: boolean;
  readonly ms?: number;
}

/** The step that ended with this fault. */
export function failedStep(step: string, { message, means, next }: Fault): ProbeStep {
  return {
    step,
    ok: false,
    saw: message,
    ...(means === undefined ? {} : { means }),
    ...(next === undefined ? {} : { advice: next }),
  };
}

/** Where a folder lies on the host that holds it, in that host's own paths, links followed. */
export interface Mount {
  readonly folder: FilePath;
  /** Where its file system is mounted: the folder itself or one above it. */
  readonly point: FilePath;
}

/** A live connection. Its paths are the endpoint's own: absolute, or relative to where a login starts. */
export interface Session extends AsyncDisposable {
  readonly capabilities: Capabilities;
  /** Set once the connection has failed; from then on every call throws it and the pool drops the session. */
  readonly broken: Fault | undefined;
  /** How long a request took when the session was new, in ms; undefined where that was not measured. */
  readonly roundTripMs?: number | undefined;

  /**
   * Delivers a file under `path`: temporary name, verify, rename; or straight to the final name where the
   * place commits atomically or cannot rename. Makes missing folders. Source changes make it void
   * (`changed`), and on any fault no final name is torn: it holds the old content, the whole new, or nothing.
   */
  send(source: SourceFile, path: FilePath, options: SendOptions): Promise<SendResult>;
  /** Removes what interrupted sends with this token may have left for `path`. Missing is fine. */
  discard(path: FilePath, token: string, note: string | undefined, options: CallOptions): Promise<void>;

  /** Everything below a folder, in no order. @throws Fault `permanent` ENOENT when the folder itself is missing */
  list(folder: FilePath, options: ListOptions): AsyncIterable<Entry>;
  /** Tells an unmounted share from an emptied one; only where the place can see its mounts. The folder itself may be missing. */
  mount?(folder: FilePath, options: MountOptions): Promise<Mount>;
  /** Follows no link at the end of the path. Undefined when there is nothing. */
  stat(path: FilePath, options: CallOptions): Promise<Entry | undefined>;
  /** The file as a source for `send` on another session; `version` is what the scan saw. */
  source(path: FilePath, version: FileVersion): SourceFile;
  /** Deletes exactly that version. @throws Fault `changed` when it is another, `vanished` when it is gone */
  remove(path: FilePath, version: FileVersion, options: CallOptions): Promise<void>;
  /**
   * Moves exactly that version to `target` (same kind of path), making folders, never overwriting: a taken
   * target gets ` (1)`, ` (2)` … before the extension. Resolves to where it went. Errors as `remove`.
   */
  archive(path: FilePath, version: FileVersion, target: FilePath, options: CallOptions): Promise<FilePath>;
}

export interface SeenHostKey {
  /** e.g. `ssh-ed25519` */
  readonly type: string;
  /** `SHA256:` and base64 without padding, as OpenSSH prints it. */
  readonly fingerprint: string;
  readonly pinned: boolean;
  /** The command that pins it, where that is not Ferry's to do: it is pinned elsewhere than in endpoints.yaml. */
  readonly pinBy?: string;
}

export interface Endpoint {
  readonly name: string;
  readonly kind: string;
  readonly capabilities: Capabilities;
  /** For people: `sftp ec2-user@host:22`, `folder /mnt/share`. No secrets. */
  readonly address: string;
  /** How many sessions may be open at once. */
  readonly connections: number;
  /** A session unused for so long is closed. */
  readonly idleMs: number;
  /** @throws Fault `unreachable` | `rejected` | `aborted`; within a bounded time */
  connect(signal: AbortSignal): Promise<Session>;
  /** Tries everything for real below `folder`, step by step, and stops at the first broken one. Never throws. */
  probe(folder: FilePath, options: ProbeOptions): AsyncIterable<ProbeStep>;
  /** For `ferry trust`: the host keys that the servers behind the name show, without logging in. Errors as `connect`. */
  hostKeys?(options: CallOptions): Promise<readonly SeenHostKey[]>;
  /** What a path is in S3, where it is one. @throws Fault `permanent` for a name that S3 cannot hold */
  objectAt?(path: FilePath): S3Object;
  /** Called once, after all sessions are closed. */
  close?(): Promise<void>;
}

/** What a factory gets besides its settings. */
export interface EndpointContext {
  readonly name: string;
  /** Where an endpoint may keep files of its own (`FERRY_DATA`). */
  readonly dataFolder: string;
  /** The environment as cli/main.ts read it: an agent's socket, the PATH of programs to start. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The other endpoints of the configuration, for jump hosts and staging buckets. */
  other(name: string): Promise<Endpoint>;
  /** Something that a person should know and that stops nothing. */
  warn(message: string): void;
}
