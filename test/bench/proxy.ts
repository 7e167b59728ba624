/**
 * The latency proxy as a process of its own, so that it shares no event loop with what is measured.
 * `node proxy.ts LATENCY_MS PORT` listens on a port of loopback that it prints. `node proxy.ts LATENCY_MS PORT… ADDRESS`
 * listens on the same ports of another address of loopback, as FTP needs it, which names ports for its data
 * connections. It ends when its standard input does.
 */

import { startFaultProxy } from '../support/fault-proxy.ts';

const [latencyMs, ...rest] = process.argv.slice(2);
const address = rest.at(-1)?.includes('.') ? rest.pop() : undefined;
const trouble = { latencyMs: Number(latencyMs) };
await using proxies = new AsyncDisposableStack();
const ports: number[] = [];
for (const port of rest.map(Number)) {
  const place = address === undefined ? {} : { listenHost: address, listen: port };
  ports.push(proxies.use(await startFaultProxy({ port, trouble, ...place })).port);
}
console.log(ports[0]);
for await (const _ of process.stdin);
