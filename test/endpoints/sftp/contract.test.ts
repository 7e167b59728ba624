import { endpointContract } from '../../contract/endpoint.ts';
import { contractSetup } from './kit.ts';

await endpointContract('sftp', () => contractSetup({}));
