import { endpointContract } from '../../contract/endpoint.ts';
import { contractSetup, startTransfer } from './kit.ts';

// A server whose rename replaces nothing, and of which nothing is known but what it shows.
await endpointContract('ftps to a server that does not replace on rename (TLS 1.2)', () =>
  contractSetup(startTransfer(), { tls: '1.2' }, { server: 'generic' }, { endless: true }),
);
