import { endpointContract } from '../../contract/endpoint.ts';
import { startProftpd } from '../../support/proftpd.ts';
import { contractSetup } from './kit.ts';

await endpointContract('ftps to ProFTPD (TLS 1.3)', () =>
  contractSetup(
    startProftpd,
    { tls: '1.3' },
    {},
    { refusesFolder: (name) => name.includes('*'), hidesDanglingLinks: true },
  ),
);
