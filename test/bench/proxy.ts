/**
 * The latency proxy as a process of its own, so that it shares no event loop with what is measured.
 * `node proxy.ts PORT LATENCY_MS` prints its port, and ends when its standard input does.
 */

import { startFaultProxy } from '../support/fault-proxy.ts';

const [port, latencyMs] = process.argv.slice(2).map(Number);
if (port === undefined || latencyMs === undefined) throw new Error('usage: proxy.ts PORT LATENCY_MS');
await using proxy = await startFaultProxy({ port, trouble: { latencyMs } });
console.log(proxy.port);
for await (const _ of process.stdin);
