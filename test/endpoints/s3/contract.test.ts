import { endpointContract } from '../../contract/endpoint.ts';
import { contractSetup } from './kit.ts';

await endpointContract('s3', () => contractSetup());
