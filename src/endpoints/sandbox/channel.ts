/** SFTP on one channel of a connection: each request is done and answered before the next is looked at. */

import type { Duplex } from 'node:stream';
import type { Jail } from './jail.ts';
import { Operations } from './operations.ts';
import * as packet from './packet.ts';

const { REQUEST, STATUS } = packet;

const EXTENSIONS = {
  'posix-rename@openssh.com': '1',
  'statvfs@openssh.com': '2',
  'fsync@openssh.com': '1',
  'limits@openssh.com': '1',
} as const;

/** As OpenSSH says it (sftp-server.c, errno_to_portable), so that one client understands both. */
const STATUS_OF: Readonly<Record<string, number>> = {
  ENOENT: STATUS.noSuchFile,
  ENOTDIR: STATUS.noSuchFile,
  EBADF: STATUS.noSuchFile,
  EPERM: STATUS.permissionDenied,
  EACCES: STATUS.permissionDenied,
  ELOOP: STATUS.permissionDenied,
  EROFS: STATUS.permissionDenied,
  ENAMETOOLONG: STATUS.badMessage,
  EINVAL: STATUS.badMessage,
};

/** Serves until the channel ends; ends it when the client breaks the protocol. */
export function serveSftp(channel: Duplex, jail: Jail): void {
  const operations = new Operations(jail);
  const reader = new packet.PacketReader();
  channel.on('data', (chunk: Buffer) => {
    try {
      let room = true;
      for (const request of reader.take(chunk)) room = channel.write(answer(operations, request)) && room;
      if (!room) channel.pause();
    } catch {
      channel.destroy();
    }
  });
  channel.on('drain', () => channel.resume());
  channel.on('end', () => channel.end());
  channel.on('error', () => channel.destroy());
  channel.once('close', () => operations[Symbol.dispose]());
}

/** @throws BadPacket */
function answer(operations: Operations, bytes: Buffer): Buffer {
  const request = new packet.RequestReader(bytes);
  if (request.type === REQUEST.init) return packet.versionAnswer(EXTENSIONS);
  const id = request.uint32();
  try {
    return done(operations, request, id) ?? packet.statusAnswer(id, STATUS.ok, '');
  } catch (error) {
    if (error instanceof packet.BadPacket) throw error;
    // Its message would tell where the folder lies on this host.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failure';
    return packet.statusAnswer(id, STATUS_OF[code] ?? STATUS.failure, code);
  }
}

/** Undefined: a plain "ok". */
function done(files: Operations, request: packet.RequestReader, id: number): Buffer | undefined {
  switch (request.type) {
    case REQUEST.open:
      return packet.handleAnswer(id, files.open(request.path(), request.uint32(), request.attributes()));
    case REQUEST.close:
      return void files.close(request.bytes());
    case REQUEST.read: {
      const data = files.read(request.bytes(), request.uint64(), request.uint32());
      return data === undefined
        ? packet.statusAnswer(id, STATUS.eof, 'end of file')
        : packet.dataAnswer(id, data);
    }
    case REQUEST.write:
      return void files.write(request.bytes(), request.uint64(), request.bytes());
    case REQUEST.lstat:
      return packet.attributesAnswer(id, files.lstat(request.path()));
    case REQUEST.stat:
      return packet.attributesAnswer(id, files.stat(request.path()));
    case REQUEST.fstat:
      return packet.attributesAnswer(id, files.fstat(request.bytes()));
    case REQUEST.setstat:
      return void files.setstat(request.path(), request.attributes());
    case REQUEST.fsetstat:
      return void files.fsetstat(request.bytes(), request.attributes());
    case REQUEST.opendir:
      return packet.handleAnswer(id, files.opendir(request.path()));
    case REQUEST.readdir: {
      const names = files.readdir(request.bytes());
      return names === undefined
        ? packet.statusAnswer(id, STATUS.eof, 'no more')
        : packet.namesAnswer(id, names);
    }
    case REQUEST.remove:
      return void files.remove(request.path());
    case REQUEST.mkdir:
      return void files.mkdir(request.path(), request.attributes());
    case REQUEST.rmdir:
      return void files.rmdir(request.path());
    case REQUEST.realpath:
      return packet.namesAnswer(id, [{ name: files.jail.inside(request.path()), attributes: undefined }]);
    case REQUEST.rename:
      return void files.rename(request.path(), request.path());
    case REQUEST.extended:
      return extended(files, request, id);
    default:
      return packet.statusAnswer(id, STATUS.unsupported, 'not offered here');
  }
}

function extended(files: Operations, request: packet.RequestReader, id: number): Buffer | undefined {
  switch (request.text()) {
    case 'posix-rename@openssh.com':
      return void files.posixRename(request.path(), request.path());
    case 'fsync@openssh.com':
      return void files.fsync(request.bytes());
    case 'statvfs@openssh.com':
      return packet.numbersAnswer(id, files.statvfs(request.path()));
    case 'limits@openssh.com': {
      const most = BigInt(packet.MOST_DATA_BYTES);
      return packet.numbersAnswer(id, [
        BigInt(packet.MOST_PACKET_BYTES),
        most,
        most,
        BigInt(Operations.mostHandles),
      ]);
    }
    default:
      return packet.statusAnswer(id, STATUS.unsupported, 'not offered here');
  }
}
