/** The fault proxy in a process of its own, to be a balancer on a host in a network namespace. Ends with its owner. */

import { obey, type RelayCommand } from './balancer.ts';
import { startFaultProxy } from './fault-proxy.ts';

const proxy = await startFaultProxy(JSON.parse(process.argv[2] ?? '{}'));
process.on('message', (command: RelayCommand) => process.send?.(obey(proxy, command)));
process.once('disconnect', () => process.exit());
process.send?.('ready');
