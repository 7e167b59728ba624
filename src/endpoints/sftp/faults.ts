/**
 * Where what SFTP servers and broken connections say becomes a Fault: whose trouble it is, and what to do. What can
 * go wrong before there is a connection is in connect-faults.ts.
 */

import { codeOf, Fault, type FaultOptions, messageOf } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';

/** SFTP status codes (draft-ietf-secsh-filexfer-02, section 7). */
export const STATUS = {
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

/** The SFTP status of an error, when it is one. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || error instanceof Fault)
    return undefined;
  return typeof error.code === 'number' ? error.code : undefined;
}

/** @param doing what was tried, e.g. `write`, `rename`, `list` */
export function fileFault(error: unknown, doing: string, path: FilePath, endpoint: string): Fault {
  if (error instanceof Fault) return error;
  const what = `${endpoint}: cannot ${doing} ${printable(path)}`;
  const status = statusOf(error);
  const said = messageOf(error);
  const make = (kind: Fault['kind'], why: string, code: string, advice?: string): Fault =>
    new Fault(kind, `${what}: ${why}`, { code, cause: error, ...(advice === undefined ? {} : { advice }) });
  switch (status) {
    case STATUS.noSuchFile:
      return make('permanent', 'there is no such file or folder', 'ENOENT');
    case STATUS.permissionDenied:
      return make(
        'permanent',
        'permission denied',
        'EACCES',
        'The user who logs in needs permission to write in that folder (and to enter those above it).',
      );
    case STATUS.badMessage:
      return make(
        'permanent',
        'the server cannot hold that name',
        'ENAMETOOLONG',
        'Names longer than 255 bytes, or with characters that its file system does not know, have to be changed at the source.',
      );
    case STATUS.unsupported:
      return make('permanent', 'the server does not offer that', 'EOPNOTSUPP');
    case STATUS.noConnection:
    case STATUS.connectionLost:
      return make('unreachable', said, 'ECONNRESET');
    case undefined:
      return make('transient', said, codeOf(error) ?? 'ESFTP');
    default:
      return make(
        'transient',
        `the server says "${said}"`,
        'EFAILURE',
        'The server gives no reason; its log may. Often a disk that is full, a quota, or a read-only file system.',
      );
  }
}

export function diskFullFault(doing: string, path: FilePath, endpoint: string, cause: unknown): Fault {
  return new Fault('transient', `${endpoint}: cannot ${doing} ${printable(path)}: the remote disk is full`, {
    code: 'ENOSPC',
    cause,
    advice: 'Make room on the server.',
  });
}

export function readOnlyFault(doing: string, path: FilePath, endpoint: string, cause: unknown): Fault {
  return new Fault(
    'permanent',
    `${endpoint}: cannot ${doing} ${printable(path)}: the file system there is read-only`,
    {
      code: 'EROFS',
      cause,
      advice: 'Choose another folder, or have it mounted for writing; then ferry retry.',
    },
  );
}

/** A connection that was at work is gone. */
export function lostFault(name: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  const options: FaultOptions = {
    code: code === undefined || /^\d+$/.test(code) ? 'ECONNRESET' : code,
    cause: error,
  };
  return new Fault('unreachable', `the connection to ${name} was lost: ${messageOf(error)}`, options);
}

export function silentFault(name: string, silentMs: number, pending: number): Fault {
  return new Fault(
    'unreachable',
    `${name} gave no sign of life for ${Math.round(silentMs / 1000)} s${pending > 0 ? `, with ${pending} requests unanswered` : ''}`,
    {
      code: 'ETIMEDOUT',
      advice:
        'The connection was dropped on the way without a word (idle limit of a load balancer or firewall), or the server hangs.',
    },
  );
}
