/**
 * What is in one folder, packed so that it is cheap to hold and to hand from one thread to another.
 * Node only: a worker thread loads this file.
 */

import type { Stats } from 'node:fs';
import { type FilePath, fromBytes } from '../../sync/names.ts';

/** Some of a folder's entries. */
export interface Part {
  readonly names: readonly FilePath[];
  /** `WIDTH` numbers for each name, see `pack`. */
  readonly numbers: Float64Array;
  /** What could not be looked at: '' for the folder itself, or an entry's name. */
  readonly problems: readonly Problem[];
  /** No more parts of this folder follow. */
  readonly last: boolean;
  /** Too many for one part: nothing was looked at. */
  readonly tooMany?: boolean;
}

export interface Problem {
  readonly name: FilePath;
  readonly code: string;
  readonly message: string;
}

/** The numbers of one entry that matter, named as in the system's own. */
export type Numbers = Pick<Stats, 'mode' | 'size' | 'mtimeMs' | 'ctimeMs' | 'ino'>;

export const WIDTH = 5;

export function pack(stats: Numbers, into: Float64Array, index: number): void {
  const at = index * WIDTH;
  into[at] = stats.mode;
  into[at + 1] = stats.size;
  into[at + 2] = stats.mtimeMs;
  into[at + 3] = stats.ctimeMs;
  into[at + 4] = stats.ino;
}

export function unpack(from: Float64Array, index: number): Numbers {
  const at = index * WIDTH;
  const number = (offset: number): number => from[at + offset] ?? 0;
  return { mode: number(0), size: number(1), mtimeMs: number(2), ctimeMs: number(3), ino: number(4) };
}

/**
 * Names as the system gave them when decoded as UTF-8; read as bytes again only where decoding lost something
 * (reading all as bytes takes more than twice as long).
 */
export function lostBytes(names: readonly string[]): boolean {
  return names.some((name) => name.includes('\ufffd'));
}

export function namesOf(bytes: readonly Uint8Array[]): FilePath[] {
  return bytes.map(fromBytes);
}

export function problemOf(name: FilePath, error: unknown): Problem {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return { name, code, message: error instanceof Error ? error.message : String(error) };
}

/** It was gone when we looked: nobody's problem. */
export function isGone(problem: Problem): boolean {
  return problem.code === 'ENOENT' || problem.code === 'ENOTDIR';
}
