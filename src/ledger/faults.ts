/** Turns SQLite's errors into Faults, each naming the ledger's file and what to do. The only place that knows SQLite's codes. */

import { codeOf, Fault, messageOf } from '../sync/errors.ts';

/** Primary result codes (https://sqlite.org/rescode.html); the upper bits of an extended code only refine them. */
const PERM = 3;
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const AUTH = 23;
const NOTADB = 26;
/** The -shm file could not grow: in practice, a full disk. */
const IOERR_SHMSIZE = 4874;

export function sqliteFault(error: unknown, file: string): Fault {
  if (error instanceof Fault) return error;
  const code = resultCodeOf(error);
  if (code === undefined) {
    if (codeOf(error) === 'ERR_INVALID_STATE') return closedFault(file, error);
    if (codeOf(error) === 'ENOSPC') return fullFault(file, error);
    return new Fault('transient', `the ledger ${file} failed: ${messageOf(error)}`, withCode(error));
  }
  if (code === IOERR_SHMSIZE) return fullFault(file, error);
  switch (code & 0xff) {
    case FULL:
      return fullFault(file, error);
    case BUSY:
    case LOCKED:
      return new Fault('transient', `another program keeps the ledger ${file} locked`, {
        code: 'LEDGER_BUSY',
        advice: 'Close what else works on that file: an open sqlite3 shell, a backup that locks it.',
        cause: error,
      });
    case CORRUPT:
    case NOTADB:
      return corruptFault(file, error);
    case PERM:
    case READONLY:
    case CANTOPEN:
    case AUTH:
      return new Fault('permanent', `the ledger ${file} cannot be opened for writing`, {
        code: 'EACCES',
        advice: `Give the user that runs Ferry the folder, the file and its -wal and -shm files to read and write.`,
        cause: error,
      });
    case IOERR:
      return new Fault('transient', `reading or writing the ledger ${file} failed: ${messageOf(error)}`, {
        code: 'EIO',
        advice: 'Look at the disk that holds it (system log, free space, mount).',
        cause: error,
      });
    default:
      return new Fault('transient', `the ledger ${file} failed: ${messageOf(error)}`, withCode(error));
  }
}

export function corruptFault(file: string, cause?: unknown): Fault {
  return new Fault('permanent', `the ledger ${file} is damaged, or is not a ledger`, {
    code: 'LEDGER_CORRUPT',
    advice:
      'Stop Ferry and put a backup of the file in its place, or move it and its -wal and -shm files away: ' +
      'Ferry then starts a new ledger, and the next scan offers every file again.',
    cause,
  });
}

export function newerFault(file: string, found: number, known: number): Fault {
  return new Fault(
    'permanent',
    `the ledger ${file} was written by a newer Ferry (its version is ${found}, this one knows ${known})`,
    {
      code: 'LEDGER_NEWER',
      advice: 'Run the newer Ferry again, or point FERRY_DATA at another folder.',
    },
  );
}

/** A delivery that this process may not settle: another one took it over, or it was settled before. */
export function notClaimedFault(id: number): Fault {
  return new Fault('aborted', `delivery ${id} is not claimed by this process (any more)`, {
    code: 'NOT_CLAIMED',
  });
}

export function closedFault(file: string, cause?: unknown): Fault {
  return new Fault('aborted', `the ledger ${file} is closed`, { code: 'LEDGER_CLOSED', cause });
}

/** SQLite's extended result code, as node:sqlite carries it. */
export function resultCodeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode : undefined;
}

export function isBusy(error: unknown): boolean {
  const code = resultCodeOf(error);
  return code !== undefined && ((code & 0xff) === BUSY || (code & 0xff) === LOCKED);
}

export function isMissing(error: unknown): boolean {
  const code = resultCodeOf(error);
  return code !== undefined && (code & 0xff) === CANTOPEN;
}

function fullFault(file: string, cause: unknown): Fault {
  return new Fault('transient', `no space left for the ledger ${file}`, {
    code: 'ENOSPC',
    advice: 'Free space on the disk that holds it; nothing was half-written.',
    cause,
  });
}

function withCode(error: unknown): { readonly cause: unknown; readonly code?: string } {
  const code = codeOf(error);
  return code === undefined ? { cause: error } : { cause: error, code };
}
