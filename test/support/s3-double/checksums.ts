/** Checksums as S3 verifies them, and the aws-chunked bodies in whose trailers the SDK may send them. */

import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Base64 of the checksum, by the name in `x-amz-checksum-NAME`. */
export const CHECKSUMS: Readonly<Record<string, (bytes: Buffer) => string>> = {
  sha256: (bytes) => hash('sha256', bytes, 'base64'),
  sha1: (bytes) => hash('sha1', bytes, 'base64'),
  crc32: (bytes) => {
    const out = Buffer.alloc(4);
    out.writeUInt32BE(crc32(bytes));
    return out.toString('base64');
  },
  crc64nvme: (bytes) => {
    const out = Buffer.alloc(8);
    out.writeBigUInt64BE(crc64nvme(bytes));
    return out.toString('base64');
  },
};

const ALL = 0xffffffffffffffffn;
/** Reflected polynomial of CRC-64/NVME (NVM Express command set specification, section 5.2.1.3.4). */
const POLYNOMIAL = 0x9a6c9329ac4bc9b5n;
const TABLE = Array.from({ length: 256 }, (_, index) => {
  let value = BigInt(index);
  for (let bit = 0; bit < 8; bit += 1) value = (value & 1n) === 1n ? (value >> 1n) ^ POLYNOMIAL : value >> 1n;
  return value;
});

function crc64nvme(bytes: Buffer): bigint {
  let crc = ALL;
  for (const byte of bytes) crc = (TABLE[Number((crc ^ BigInt(byte)) & 0xffn)] ?? 0n) ^ (crc >> 8n);
  return crc ^ ALL;
}

export interface Unchunked {
  readonly body: Buffer;
  readonly trailers: Readonly<Record<string, string>>;
}

/**
 * A body of `content-encoding: aws-chunked`: `SIZE[;chunk-signature=…]\r\n BYTES \r\n … 0\r\n trailers \r\n`.
 * @throws Error when it is not one
 */
export function unchunk(raw: Buffer): Unchunked {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = raw.indexOf('\r\n', at);
    if (line < 0) throw new Error('an aws-chunked body without an end');
    const bytes = Number.parseInt(raw.toString('latin1', at, line), 16);
    if (Number.isNaN(bytes)) throw new Error('an aws-chunked body without sizes');
    at = line + 2;
    if (bytes === 0) return { body: Buffer.concat(parts), trailers: trailersOf(raw.toString('latin1', at)) };
    parts.push(raw.subarray(at, at + bytes));
    at += bytes + 2;
  }
}

function trailersOf(text: string): Readonly<Record<string, string>> {
  const lines = text.split('\r\n').filter((line) => line.includes(':'));
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
}
