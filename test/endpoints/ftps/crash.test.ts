import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { crash } from '../../support/crash.ts';
import { sha256OfFile } from '../../support/files.ts';
import { startVsftpd } from '../../support/vsftpd.ts';
import { entryFor, startTransfer } from './kit.ts';

const KILLS = 10;

let certificates: Certificates;
before(async () => {
  certificates = await makeCertificates();
});
after(() => certificates[Symbol.asyncDispose]());

for (const [name, start] of [
  ['vsftpd', startVsftpd],
  ['Transfer Family', startTransfer()],
] as const) {
  test(`killed ${KILLS} times while files keep coming to ${name}, nothing is lost, torn or left behind`, async () => {
    process.umask(0); // so that the server's user may write in the folder
    await using server = await start({ certificate: await certificates.server('good') });
    const folder = join(server.folder, 'inbox');
    await mkdir(folder);
    const site = {
      endpoint: { type: 'ftps', ...entryFor(server, certificates) },
      path: `${server.root}/inbox`,
      names: () => readdir(folder),
      sha256: (name: string) => sha256OfFile(join(folder, name)),
    };
    await crash(site, KILLS);
  });
}
