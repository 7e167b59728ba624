/** What can keep a folder from being watched, in words, and what to do about it. */

import { statfs } from 'node:fs/promises';
import { codeOf, Fault, messageOf } from '../sync/errors.ts';
import { type FilePath, printable } from '../sync/names.ts';
import { pathLike } from './lookup.ts';

/** The root is gone, or may not be read. */
export function missing(folder: FilePath, error: unknown): Fault {
  const code = codeOf(error) ?? 'UNKNOWN';
  const name = printable(folder);
  if (code === 'ENOENT') {
    return new Fault('vanished', `the folder ${name} does not exist`, {
      code,
      advice: 'Create it, or mount it; Ferry notices by itself.',
      cause: error,
    });
  }
  if (code === 'ENOTDIR') {
    return new Fault('permanent', `${name} is not a folder`, {
      code,
      advice: '`from` names a folder; use `match` to pick single files out of it.',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new Fault('permanent', `the folder ${name} may not be read`, {
      code,
      advice: 'Give the user that runs Ferry permission to read and to enter it.',
      cause: error,
    });
  }
  return new Fault('transient', `the folder ${name} cannot be watched: ${messageOf(error)}`, {
    code,
    advice: 'Look at the disk or the network share it is on; Ferry notices by itself when it is well again.',
    cause: error,
  });
}

/** The root's file system does not answer. */
export function hangs(folder: FilePath): Fault {
  return new Fault('transient', `the file system of ${printable(folder)} does not answer`, {
    code: 'ETIMEDOUT',
    advice: 'A network share whose server is away does this; look at its mount.',
  });
}

const LIMITS: Readonly<Record<string, readonly [what: string, setting: string]>> = {
  ENOSPC: ['the system allows this user no more watches', 'fs.inotify.max_user_watches'],
  EMFILE: ['the system allows this user no more watchers', 'fs.inotify.max_user_instances'],
};

/** The system refuses more watches (inotify(7)). Says the same whichever folder it was, so that it is told once. */
export function limited(folder: FilePath, error: Error): Fault {
  const code = codeOf(error) ?? 'UNKNOWN';
  const [what, setting] = LIMITS[code] ?? [`the system says ${code}`, undefined];
  const meanwhile = 'until then Ferry looks at the whole folder every few seconds';
  const advice =
    setting === undefined
      ? `If its file system cannot be watched, set \`poll\` for this job; ${meanwhile}.`
      : `Raise ${setting} (\`sysctl ${setting}\` shows it): put a higher value into a file in /etc/sysctl.d and run \`sysctl --system\`; ${meanwhile}.`;
  return new Fault('transient', `not all of ${printable(folder)} can be watched: ${what}`, {
    code,
    advice,
    cause: error,
  });
}

/** `f_type` of statfs(2) for file systems that others may write to behind our back. */
const NETWORK_TYPES: ReadonlySet<number> = new Set([
  0x6969, // NFS
  0x517b, // SMB
  0xff534d42, // CIFS
  0xfe534d42, // SMB 2
  0x01021997, // 9p
  0x65735546, // FUSE: sshfs, rclone mount, GlusterFS
  0x5346414f, // AFS
  0x00c36400, // Ceph
  0x0bd00bd0, // Lustre
  0x47504653, // GPFS
  0x01161970, // GFS2
  0x7461636f, // OCFS2
  0x786f4256, // VirtualBox shared folder
]);

/** True for a folder on a share that other hosts may write to. */
export async function isOnNetwork(folder: FilePath): Promise<boolean> {
  try {
    return NETWORK_TYPES.has((await statfs(pathLike(folder))).type >>> 0);
  } catch {
    return false;
  }
}
