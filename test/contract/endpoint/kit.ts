/** What the parts of the endpoint contract share: a place to work in, a look at it from outside, and send options. */

import assert from 'node:assert/strict';
import { lstat, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  Endpoint,
  Entry,
  FileVersion,
  Receipt,
  SendOptions,
  Session,
  SourceFile,
} from '../../../src/endpoints/endpoint.ts';
import { Fault, type FaultKind } from '../../../src/sync/errors.ts';
import { type FilePath, joinPath, OWN_PREFIX, toBytes } from '../../../src/sync/names.ts';
import type { FaultProxy } from '../../support/fault-proxy.ts';
import { sha256Of, sha256OfFile, treeOf } from '../../support/files.ts';
import { type GeneratedOptions, type GeneratedSource, generatedSource } from '../../support/source.ts';

/** The remote folder seen past the endpoint. Paths are relative to it; names as in sync/names.ts. */
export interface Outside {
  /** Everything below, sorted; folders end in `/`. */
  tree(): Promise<readonly string[]>;
  /** SHA-256 of a file, undefined when there is none. */
  sha256(path: FilePath): Promise<string | undefined>;
  stat(path: FilePath): Promise<{ sizeBytes: number; mtimeMs: number; mode: number } | undefined>;
  /** Writes a file in place, making folders. */
  write(path: FilePath, content: string | Buffer, mtimeMs?: number): Promise<void>;
  /** Puts another file under the name. */
  replace(path: FilePath, content: string | Buffer): Promise<void>;
  remove(path: FilePath): Promise<void>;
  mkdir(path: FilePath): Promise<void>;
  /** Undefined where the place knows no links. */
  readonly symlink?: (target: string, path: FilePath) => Promise<void>;
  below(path: FilePath): Outside;
}

/** For endpoints whose files are a local folder in truth. */
export function outsideOf(folder: string): Outside {
  const at = (path: FilePath): Buffer => toBytes(join(folder, path));
  const makeFolder = async (path: FilePath): Promise<void> => {
    await mkdir(toBytes(dirname(join(folder, path))), { recursive: true });
  };
  return {
    tree: () => treeOf(folder),
    sha256: (path) => sha256OfFile(join(folder, path)).catch(() => undefined),
    stat: async (path) => {
      const stats = await lstat(at(path)).catch(() => undefined);
      return stats && { sizeBytes: stats.size, mtimeMs: stats.mtimeMs, mode: stats.mode & 0o7777 };
    },
    write: async (path, content, mtimeMs) => {
      await makeFolder(path);
      await writeFile(at(path), content);
      if (mtimeMs !== undefined) await utimes(at(path), mtimeMs / 1000, mtimeMs / 1000);
    },
    replace: async (path, content) => {
      await writeFile(at(`${path}.other`), content);
      await rename(at(`${path}.other`), at(path));
    },
    remove: (path) => rm(at(path), { recursive: true, force: true }),
    mkdir: async (path) => {
      await mkdir(at(path), { recursive: true });
    },
    symlink: async (target, path) => {
      await makeFolder(path);
      await symlink(target, at(path));
    },
    below: (path) => outsideOf(join(folder, path)),
  };
}

export interface RemoteFolder {
  /** As the endpoint names it. */
  readonly folder: FilePath;
  readonly outside: Outside;
}

export interface ContractSetup extends AsyncDisposable, RemoteFolder {
  readonly endpoint: Endpoint;
  /** Names have no folders between them (keys): what needs a folder in the way is not asked. */
  readonly flat?: boolean;
  /** The place dates its files itself; the time that a writer gives them is kept beside them. */
  readonly datesFiles?: boolean;
  /** It only takes files: it is the source of no job, and nothing is done with what has arrived. */
  readonly takesOnly?: boolean;
  /** It makes no folders: they have to be there. */
  readonly makesNoFolders?: boolean;
  /** Files have Unix permission bits there. */
  readonly modes?: boolean;
  /** True for names that the place cannot hold: they must be refused for good, in words. */
  readonly refusesName?: (name: string) => boolean;
  /** True for names that it can hold, but not as those of folders. */
  readonly refusesFolder?: (name: string) => boolean;
  /** Links that lead nowhere are not shown there. */
  readonly hidesDanglingLinks?: boolean;
  /** Size of the file that must not be buffered; default 300 MB. */
  readonly largeBytes?: number;
  /** A folder with more than 1 MiB and less than 12 MiB of free space. */
  readonly full?: RemoteFolder;
  /** A folder into which nothing may be written. */
  readonly forbidden?: FilePath;
  /** The same endpoint over a connection that can be cut. */
  readonly cut?: {
    readonly endpoint: Endpoint;
    /** Cuts the connection, once, after so many more bytes towards the endpoint. */
    afterBytes(bytes: number): void;
    /** Bytes that went towards the endpoint so far, over all connections. */
    sentBytes(): number;
  };
}

/** What `ContractSetup.cut` wants, of a proxy between the endpoint and its server. */
export function cutBy(proxy: FaultProxy, endpoint: Endpoint): NonNullable<ContractSetup['cut']> {
  return {
    endpoint,
    afterBytes: (bytes) =>
      proxy.setTrouble({ cut: { afterBytes: bytes, counting: 'all', direction: 'up', by: 'rst', times: 1 } }),
    sentBytes: () => proxy.counts.bytesUp,
  };
}

/** One test's own folder at the endpoint, with a session. */
export interface Place extends RemoteFolder {
  readonly setup: ContractSetup;
  readonly session: Session;
  /** A path of the endpoint, in this test's folder. */
  path(name: FilePath): FilePath;
  /** A source that is checked to be closed at the end. */
  source(options: GeneratedOptions): GeneratedSource;
}

export const TOKEN = '0123456789abcdef';
const never = new AbortController().signal;
export const calm = { signal: never };

export function options(overrides: Partial<SendOptions> = {}): SendOptions {
  return {
    signal: never,
    conflict: 'replace',
    verify: 'size',
    token: TOKEN,
    preserveMtime: true,
    helpers: [],
    resume: undefined,
    checkpoint: async () => undefined,
    progress: () => undefined,
    ...overrides,
  };
}

export type Contract = (title: string, body: (place: Place) => Promise<void>) => void;

/** One session for all tests, as a pool would keep it: dropped when it is broken. */
export class SharedSession implements AsyncDisposable {
  readonly #endpoint: Endpoint;
  #session: Session | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  async get(): Promise<Session> {
    if (this.#session?.broken !== undefined) await this[Symbol.asyncDispose]();
    this.#session ??= await this.#endpoint.connect(never);
    return this.#session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session?.[Symbol.asyncDispose]();
    this.#session = undefined;
  }
}

/** Registers a test that gets a folder of its own, and leaves nothing behind in it. */
export function contractFor(setup: ContractSetup, shared: SharedSession): Contract {
  let count = 0;
  return (title, body) => {
    count += 1;
    const own = `t${count}`;
    test(title, { timeout: 480_000 }, async () => {
      const sources: GeneratedSource[] = [];
      const outside = setup.outside.below(own);
      await setup.outside.mkdir(own);
      const session = await shared.get();
      const folder = joinPath(setup.folder, own);
      await body({
        setup,
        session,
        folder,
        outside,
        path: (name) => joinPath(folder, name),
        source: (sourceOptions) => {
          const source = generatedSource(sourceOptions);
          sources.push(source);
          return source;
        },
      });
      assert.equal(
        sources.reduce((sum, source) => sum + source.openNow, 0),
        0,
        'every reader was closed',
      );
      await assertNothingOwn(outside);
      await setup.outside.remove(own);
    });
  };
}

export async function assertNothingOwn(outside: Outside): Promise<void> {
  const own = (await outside.tree()).filter((path) => path.includes(OWN_PREFIX));
  assert.deepEqual(own, [], 'temporaries were left');
}

/** What was under the name still is; where files are written straight under their final name, that or nothing. */
export async function assertUntouched({ setup }: Place, outside: Outside, name: FilePath, content: string) {
  const { atomicRename, commitsAtClose } = setup.endpoint.capabilities;
  const found = await outside.sha256(name);
  if (found === undefined && !atomicRename && !commitsAtClose) await outside.write(name, content);
  else assert.equal(found, sha256Of(content), 'the old content is untouched');
}

/** Sends, asks after it until it is done where that is how it goes, and gives the receipt. */
export async function deliver(
  session: Session,
  source: SourceFile,
  path: FilePath,
  overrides: Partial<SendOptions> = {},
): Promise<Receipt> {
  let { resume } = overrides;
  const checkpoint = async (note: string, underWay?: boolean): Promise<void> => {
    resume = note;
    await overrides.checkpoint?.(note, underWay);
  };
  for (;;) {
    const result = await session.send(source, path, options({ ...overrides, resume, checkpoint }));
    if (result.state === 'done') {
      assert.equal(result.receipt.sizeBytes, source.version.sizeBytes);
      return result.receipt;
    }
    assert.ok(session.capabilities.asynchronous, 'only an asynchronous endpoint answers "accepted"');
    await sleep(result.checkAfterMs);
  }
}

/** Delivers and sees from outside that exactly this arrived. */
export async function deliverWell(
  place: Place,
  source: GeneratedSource,
  name: FilePath,
  overrides: Partial<SendOptions> = {},
): Promise<Receipt> {
  const receipt = await deliver(place.session, source, place.path(name), overrides);
  assert.equal(receipt.remotePath, place.path(name));
  if (receipt.alreadyThere !== true) assert.equal(receipt.sha256, source.sha256);
  assert.equal(await place.outside.sha256(name), source.sha256, `${name} arrived as it was`);
  return receipt;
}

/** The fault that a call ends with, which must be one of these kinds and worth reading. */
export async function faultOf(call: Promise<unknown>, ...kinds: readonly FaultKind[]): Promise<Fault> {
  const fault = await call.then(
    (value) => assert.fail(`expected a fault (${kinds}), got ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (!(fault instanceof Fault)) assert.fail(`expected a Fault, got ${fault}`);
  assert.ok(kinds.includes(fault.kind), `expected ${kinds}, got ${fault.kind}: ${fault.message}`);
  assert.ok(fault.message.length > 8, 'a message worth reading');
  return fault;
}

/** All that a list gives, by path relative to the folder; unless `more` says so, nothing may be unreadable. */
export async function listed(
  session: Session,
  folder: FilePath,
  more: Partial<Parameters<Session['list']>[1]> = {},
): Promise<Map<FilePath, Entry>> {
  const found = new Map<FilePath, Entry>();
  const unreadable = (path: FilePath, fault: Fault): never => assert.fail(`${path}: ${fault.message}`);
  for await (const entry of session.list(folder, { signal: never, unreadable, ...more })) {
    assert.ok(entry.path.startsWith(`${folder}/`), `${entry.path} lies below ${folder}`);
    found.set(entry.path.slice(folder.length + 1), entry);
  }
  return found;
}

/** The version as `stat` sees it; the file must be there. */
export async function versionOf(session: Session, path: FilePath): Promise<FileVersion> {
  const entry = await session.stat(path, calm);
  assert.ok(entry?.kind === 'file', `${path} is there`);
  return entry.version;
}

/** All bytes of a source. */
export async function readAll(source: SourceFile): Promise<Buffer> {
  await using reader = await source.open(never);
  const chunks: Buffer[] = [];
  for await (const chunk of reader.read(0, source.version.sizeBytes, never)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
