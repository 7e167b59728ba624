/** Turns the system's errors into faults that say what happened to which file and what to do. */

import { codeOf, Fault, type FaultKind, messageOf } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';

interface Meaning {
  readonly kind: FaultKind;
  readonly words: string;
  readonly advice: string;
}

const NO_ROOM: Meaning = {
  kind: 'transient',
  words: 'the disk is full',
  advice: 'Make room there, or raise the quota.',
};
const NO_PERMISSION: Meaning = {
  kind: 'permanent',
  words: 'permission denied',
  advice:
    'Give the user that runs Ferry the rights it needs there (read, write and enter), then run `ferry retry`.',
};
const BAD_NAME: Meaning = {
  kind: 'permanent',
  words: 'the file system cannot hold this name',
  advice: 'Rename the file, or deliver it to a place that allows such names.',
};
const IN_THE_WAY: Meaning = {
  kind: 'permanent',
  words: 'a file is where a folder has to be, or the other way round',
  advice: 'Move what is in the way, or change the path in the job, then run `ferry retry`.',
};
const GONE_AWAY: Meaning = {
  kind: 'unreachable',
  words: 'the file system does not answer',
  advice: 'Check that the share is mounted and its server is up.',
};
const TOO_MANY: Meaning = {
  kind: 'transient',
  words: 'too many open files',
  advice: 'Raise the limit of open files (`ulimit -n`) for Ferry.',
};

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: NO_ROOM,
  EDQUOT: NO_ROOM,
  EACCES: NO_PERMISSION,
  EPERM: NO_PERMISSION,
  EROFS: {
    kind: 'permanent',
    words: 'the file system is read-only',
    advice: 'Mount it writable, then run `ferry retry`.',
  },
  ENAMETOOLONG: { ...BAD_NAME, words: 'the name is too long for the file system' },
  EINVAL: BAD_NAME,
  EILSEQ: BAD_NAME,
  ENOTDIR: IN_THE_WAY,
  EISDIR: IN_THE_WAY,
  EEXIST: IN_THE_WAY,
  ENOTEMPTY: IN_THE_WAY,
  ELOOP: {
    kind: 'permanent',
    words: 'a symbolic link is in the way',
    advice: 'Ferry does not follow links here: put the file itself there.',
  },
  EFBIG: {
    kind: 'permanent',
    words: 'the file is too large for the file system',
    advice: 'Deliver it to a file system that holds files of that size.',
  },
  ESTALE: GONE_AWAY,
  ENODEV: GONE_AWAY,
  ENXIO: GONE_AWAY,
  ENOTCONN: GONE_AWAY,
  EHOSTDOWN: GONE_AWAY,
  EHOSTUNREACH: GONE_AWAY,
  ETIMEDOUT: GONE_AWAY,
  EMFILE: TOO_MANY,
  ENFILE: TOO_MANY,
};

/** @param doing what was tried, e.g. `write in/a.txt` */
export function diskFault(error: unknown, doing: string): Fault {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  const meaning = code === undefined ? undefined : MEANINGS[code];
  return new Fault(meaning?.kind ?? 'transient', `cannot ${doing}: ${meaning?.words ?? messageOf(error)}`, {
    cause: error,
    ...(code === undefined ? {} : { code }),
    ...(meaning === undefined ? {} : { advice: meaning.advice }),
  });
}

export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

export function vanished(path: FilePath, cause?: unknown): Fault {
  return new Fault('vanished', `${printable(path)} is not there any more`, { code: 'ENOENT', cause });
}

export function changed(path: FilePath): Fault {
  return new Fault('changed', `${printable(path)} is another version than the one that is owed`);
}
