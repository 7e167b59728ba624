/**
 * Files for tests: temporary folders, content that is random to look at but the same for the same seed (at any
 * offset, so that gigabytes need no memory), and what is left in a folder afterwards.
 */

import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fromBytes, OWN_PREFIX, toBytes } from '../../src/sync/names.ts';

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

export async function temporaryFolder(name = 'test'): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), `ferry-${name}-`));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

const PIECE = 1024 * 1024;
const zeros = Buffer.alloc(PIECE);

/** The bytes from `start` up to `end` (exclusive) of the endless content that `seed` names. */
export function contentOf(seed: string, start: number, end: number): Buffer {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  const block = Math.floor(start / 16);
  const counter = Buffer.alloc(16);
  counter.writeBigUInt64BE(BigInt(block), 8);
  const cipher = createCipheriv('aes-128-ctr', key, counter);
  const skip = start - block * 16;
  const length = Math.max(0, end - start) + skip;
  return cipher.update(length <= PIECE ? zeros.subarray(0, length) : Buffer.alloc(length)).subarray(skip);
}

/** Writes a file of that content, making folders. Names may hold escaped bytes (sync/names.ts). */
export async function writeContent(path: string, seed: string, sizeBytes: number): Promise<void> {
  await mkdir(toBytes(dirname(path)), { recursive: true });
  await using file = await open(toBytes(path), 'w');
  for (let at = 0; at < sizeBytes; at += PIECE) {
    await file.writeFile(contentOf(seed, at, Math.min(at + PIECE, sizeBytes)));
  }
}

/** Lower-case hex. */
export function sha256OfContent(seed: string, sizeBytes: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < sizeBytes; at += PIECE) {
    hash.update(contentOf(seed, at, Math.min(at + PIECE, sizeBytes)));
  }
  return hash.digest('hex');
}

export function sha256Of(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Lower-case hex. Names may hold escaped bytes. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(toBytes(path), { highWaterMark: PIECE })) hash.update(chunk);
  return hash.digest('hex');
}

/** Every file, link and folder below, relative, sorted; folders end in `/`. Names as in sync/names.ts. */
export async function treeOf(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(toBytes(join(folder, below)), {
      withFileTypes: true,
      encoding: 'buffer',
    }).catch((error: NodeJS.ErrnoException) => {
      if (below !== '' && error.code === 'ENOENT') return []; // removed since its name was read
      throw error;
    });
    for (const entry of entries) {
      const path = below === '' ? fromBytes(entry.name) : `${below}/${fromBytes(entry.name)}`;
      found.push(entry.isDirectory() ? `${path}/` : path);
      if (entry.isDirectory()) await walk(path);
    }
  };
  await walk('');
  return found.sort();
}

/** As `treeOf`, without folders. */
export async function filesOf(folder: string): Promise<readonly string[]> {
  return (await treeOf(folder)).filter((path) => !path.endsWith('/'));
}

/** Asserts that nothing of Ferry's own is left anywhere below. */
export async function assertNoLeftovers(folder: string): Promise<void> {
  const own = (await treeOf(folder)).filter((path) =>
    path.split('/').some((name) => name.startsWith(OWN_PREFIX)),
  );
  assert.deepEqual(own, [], 'temporaries were left');
}

/** Asserts that a folder holds exactly these files (relative path → SHA-256), and no leftovers. */
export async function assertTree(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  const found: Record<string, string> = {};
  for (const path of await treeOf(folder)) {
    if (!path.endsWith('/')) found[path] = await sha256OfFile(join(folder, path));
  }
  assert.deepEqual(found, { ...files });
}
