import { endpointContract } from '../../contract/endpoint.ts';
import { contractSetup } from './kit.ts';

await endpointContract(
  'a connector with a temporary folder',
  () => contractSetup((server) => ({ remoteTemp: `${server.folder}/temp`, confirm: 'result' })),
  'sends',
);
