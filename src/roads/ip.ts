/** Addresses as the bytes that binary protocols carry. */

import { isIPv4 } from 'node:net';

/** 4 or 16 bytes of an IPv4 or IPv6 address; a zone (`%eth0`) is left out. */
export function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  // The URL parser writes it in its one short form, without a dotted part.
  const plain = new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1);
  const [head = '', tail = ''] = plain.split('::');
  const words = (text: string): readonly string[] => (text === '' ? [] : text.split(':'));
  const missing = 8 - words(head).length - words(tail).length;
  const bytes = Buffer.alloc(16);
  for (const [index, word] of [...words(head), ...new Array(missing).fill('0'), ...words(tail)].entries()) {
    bytes.writeUInt16BE(Number.parseInt(word, 16), 2 * index);
  }
  return bytes;
}
