import { endpointContract } from '../../contract/endpoint.ts';
import { contractSetup } from './kit.ts';

await endpointContract('a connector', () => contractSetup(() => ({ confirm: 'result' })));
