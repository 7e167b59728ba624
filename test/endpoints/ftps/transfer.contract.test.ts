import { endpointContract } from '../../contract/endpoint.ts';
import { contractSetup, startTransfer } from './kit.ts';

await endpointContract('ftps to Transfer Family (its double, TLS 1.3)', () =>
  contractSetup(startTransfer(), { tls: '1.3' }, { server: 'aws-transfer' }, { endless: true }),
);
