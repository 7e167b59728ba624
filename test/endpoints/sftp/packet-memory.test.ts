/** Packets share memory, and none is written over before it has left. */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { PacketMemory } from '../../../src/endpoints/sftp/packet-memory.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { sha256OfFile } from '../../support/files.ts';
import { generatedSource } from '../../support/source.ts';
import { startSshd } from '../../support/sshd.ts';
import { calm, entryFor, sendOptions, sftp } from './kit.ts';

test('a packet has the head, the padding and the room for a tag that AES-GCM asks for', () => {
  const memory = new PacketMemory(() => 0);
  for (let payload = 0; payload < 100; payload += 1) {
    const packet = memory.packet(payload);
    const length = packet.readUInt32BE(0);
    const padding = packet.readUInt8(4);
    assert.equal(packet.length, 4 + length + 16);
    assert.equal(length, 1 + payload + padding);
    assert.equal(length % 16, 0);
    assert.ok(padding >= 4 && padding < 20, `${padding}`);
  }
});

test('memory is used again, but not before the socket has written what is in it', () => {
  let unwritten = 0;
  const memory = new PacketMemory(() => unwritten);
  const queue: { packet: Buffer; mark: number }[] = [];
  const slabs = new Set<ArrayBufferLike>();
  const write = (): void => {
    const first = queue.shift();
    assert.ok(first !== undefined);
    assert.equal(first.packet.readUInt32BE(5), first.mark, 'a packet was written over before it had left');
    unwritten -= first.packet.length;
  };
  for (let mark = 0; mark < 20_000; mark += 1) {
    const packet = memory.packet(randomInt(4, 32_800));
    packet.writeUInt32BE(mark, 5);
    slabs.add(packet.buffer);
    queue.push({ packet, mark });
    unwritten += packet.length;
    // The socket lags behind by up to 3 MB, and then catches up with most of it.
    if (unwritten > 3_000_000) while (queue.length > randomInt(1, 40)) write();
  }
  assert.ok(slabs.size <= 8, `${slabs.size} slabs for 3 MB on the way`);
});

test('a file goes whole over a slow line, through new keys in the middle', async () => {
  await using sshd = await startSshd({ config: ['RekeyLimit 1M'] });
  await using proxy = await startFaultProxy({ port: sshd.port });
  proxy.setTrouble({ bytesPerSecond: 12_000_000, latencyMs: 5 });
  await using session = await sftp(entryFor(sshd, { port: proxy.port })).connect(calm.signal);
  const source = generatedSource({ sizeBytes: 24_000_000, seed: 'rekey' });
  await session.send(source, 'rekey', sendOptions());
  assert.equal(await sha256OfFile(join(sshd.folder, 'rekey')), source.sha256);
});
