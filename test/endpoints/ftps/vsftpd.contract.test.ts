import { endpointContract } from '../../contract/endpoint.ts';
import { startVsftpd } from '../../support/vsftpd.ts';
import { contractSetup } from './kit.ts';

await endpointContract('ftps to vsftpd (TLS 1.3)', () => contractSetup(startVsftpd, { tls: '1.3' }));
