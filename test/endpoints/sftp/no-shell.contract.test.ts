import { endpointContract } from '../../contract/endpoint.ts';
import { contractSetup } from './kit.ts';

await endpointContract('sftp without a shell', () =>
  contractSetup({ config: ['ForceCommand internal-sftp'] }),
);
