/** The one place where what FTP servers answer becomes a Fault: whose trouble it is, and what to do. */

import { codeOf, Fault, type FaultKind } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import { endOf } from './data-faults.ts';
import { sayingOfWire } from './names.ts';
import { isUnknown, type Reply, saying } from './reply.ts';

/** What the server said, for people. */
export function quoted(reply: Reply): string {
  const said = sayingOfWire(saying(reply));
  return said === '' ? `${reply.code}` : `${reply.code} ${said}`;
}

/** A connection that was at work is gone. */
export function lostFault(name: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const { said, ...more } = endOf(error);
  return new Fault(
    'unreachable',
    `the connection to ${name} was lost: ${said.replace(/ \(control socket\)$/, '')}`,
    { code: codeOf(error) ?? 'ECONNRESET', cause: error, ...more },
  );
}

export function silentFault(name: string, limitMs: number, command: string): Fault {
  const what = command === '' ? 'did not greet' : `did not answer ${command}`;
  return new Fault('unreachable', `${name} ${what} within ${Math.round(limitMs / 1000)} s`, {
    code: 'ETIMEDOUT',
    advice:
      'The connection was dropped on the way without a word (idle limit of a load balancer or firewall: set idleTimeout to it), or the server hangs.',
  });
}

/** A reply that nobody asked for, or 421: the server ends the connection. */
export function strayFault(name: string, reply: Reply): Fault {
  const ends = reply.code === 421;
  const said = quoted(reply);
  if (ends && crowded(reply)) return crowdedFault(name, reply);
  return new Fault(
    'unreachable',
    ends ? `${name} ended the connection: ${said}` : `${name} answered what was not asked: ${said}`,
    { code: ends ? 'SERVER_CLOSED' : 'OUT_OF_STEP' },
  );
}

/** The server has enough clients: passing, and no fault of the login. */
export function crowded(reply: Reply): boolean {
  return /too many|maximum|limit|try again later|\bbusy\b/i.test(reply.text);
}

export function crowdedFault(name: string, reply: Reply): Fault {
  return new Fault('unreachable', `${name} takes no more connections: ${quoted(reply)}`, {
    code: 'TOO_MANY_CONNECTIONS',
    advice: 'Set connections in endpoints.yaml to what the server allows for one user and one address.',
  });
}

const NO_PERMISSION =
  'The user who logs in needs permission to write, rename and delete in that folder (and to enter those above it).';
const NO_REASON =
  'The server gives no reason; its log may. Most often the user who logs in may not write there, or the file system is read-only.';

/** @param doing what was tried, e.g. `write`, `rename to`, `list` */
export function replyFault(reply: Reply, doing: string, path: FilePath, name: string): Fault {
  const said = quoted(reply);
  const make = (kind: FaultKind, code: string, advice?: string): Fault =>
    new Fault(kind, `${name}: cannot ${doing} ${printable(path)}: ${said}`, {
      code,
      ...(advice === undefined ? {} : { advice }),
    });
  const { code, text } = reply;
  if (code === 421) return strayFault(name, reply);
  if (code === 530) return make('rejected', 'LOGIN_REFUSED', 'The server wants a login that may do this.');
  if (/session (?:reuse|resum)|cached TLS session|not resumed|reuse required/i.test(text)) {
    return reuseFault(name, reply);
  }
  if (code === 425 || code === 426) {
    return make(
      'unreachable',
      'DATA_CONNECTION',
      'The data connection was lost or never came: a firewall or load balancer must let the passive ports of the server through.',
    );
  }
  if (code === 452 || code === 552 || /no space|disk (?:is )?full|quota|storage/i.test(text)) {
    return make('transient', 'ENOSPC', 'Make room on the server (disk or quota).');
  }
  if (code === 521 || code === 533 || code === 534 || code === 536 || code === 522) {
    return make(
      'rejected',
      'PROTECTION_REFUSED',
      'The server wants another protection of the data connection.',
    );
  }
  if (code < 500) {
    return make(
      'transient',
      'EFAILURE',
      'The server gives no lasting reason; its log may. Often a disk that is full, a quota, or a file that is in use.',
    );
  }
  if (/permission|denied|not permitted|privilege|forbidden/i.test(text)) {
    return make('permanent', 'EACCES', NO_PERMISSION);
  }
  if (/read-only/i.test(text)) {
    return make(
      'permanent',
      'EROFS',
      'Choose another folder, or have it mounted for writing; then ferry retry.',
    );
  }
  if (/is a directory|not a (?:plain|regular) file/i.test(text)) return folderFault(path, name, reply);
  if (/not a directory/i.test(text)) {
    return make(
      'permanent',
      'ENOTDIR',
      'A file stands where a folder is needed: rename one of them; then ferry retry.',
    );
  }
  if (/too long/i.test(text)) return make('permanent', 'ENAMETOOLONG', 'Rename it at the source.');
  if (says(reply, MISSING))
    return make('permanent', 'ENOENT', 'Is the path right? Ferry makes folders where it may.');
  if (isUnknown(reply)) return make('permanent', 'EOPNOTSUPP', 'The server does not offer that.');
  return make('permanent', 'EACCES', NO_REASON);
}

const MISSING = /no such|not found|does(?:n't| not) exist|not exist|cannot find/i;

/** The server says in so many words that there is nothing of that name. */
export function saysMissing(reply: Reply): boolean {
  return (reply.code === 550 || reply.code === 450) && says(reply, MISSING);
}

function says(reply: Reply, words: RegExp): boolean {
  return words.test(reply.text);
}

export function folderFault(path: FilePath, name: string, cause: unknown): Fault {
  return new Fault('permanent', `${name}: ${printable(path)} is a folder there`, {
    code: 'EISDIR',
    cause,
    advice: 'Rename the folder there, or the file at the source; then ferry retry.',
  });
}

export function missingFault(doing: string, path: FilePath, name: string): Fault {
  return new Fault(
    'permanent',
    `${name}: cannot ${doing} ${printable(path)}: there is no such file or folder`,
    {
      code: 'ENOENT',
    },
  );
}

/** Bytes there are not the bytes that were sent. */
export function sizeFault(path: FilePath, name: string, seen: number | undefined, sent: number): Fault {
  const there = seen === undefined ? 'is not there' : `has ${seen} bytes there`;
  return new Fault('transient', `${name}: ${printable(path)} ${there}, after ${sent} were sent`, {
    code: 'SIZE_MISMATCH',
    advice: 'The server lost or added bytes. If it repeats, look at its disk and its log.',
  });
}

/** RFC 4217 leaves session reuse to the server; Transfer Family, vsftpd and ProFTPD insist on it by default. */
export function reuseFault(name: string, reply: Reply): Fault {
  return new Fault(
    'rejected',
    `${name} insists that data connections resume the TLS session of the control connection, and did not see that: ${quoted(reply)}`,
    {
      code: 'SESSION_REUSE',
      advice:
        'Ferry offers the session each time; this server loses it between the two. Try maxTls: "1.2" in endpoints.yaml. On AWS Transfer Family: ' +
        'aws transfer update-server --server-id … --protocol-details TlsSessionResumptionMode=ENABLED. In vsftpd: require_ssl_reuse=NO; in ProFTPD: TLSOptions NoSessionReuseRequired.',
    },
  );
}
