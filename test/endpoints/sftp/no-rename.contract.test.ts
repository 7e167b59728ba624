import { endpointContract } from '../../contract/endpoint.ts';
import { contractSetup } from './kit.ts';

await endpointContract('sftp without renames', () =>
  contractSetup({ config: ['ForceCommand internal-sftp -P posix-rename,rename'] }, { rename: 'never' }),
);
