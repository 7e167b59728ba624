/** Removing and archiving at a server whose folder somebody else fills meanwhile: no version goes that was not delivered. */

import assert from 'node:assert/strict';
import { chown, readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Entry } from '../../../src/endpoints/endpoint.ts';
import type { FtpsSession } from '../../../src/endpoints/ftps/session.ts';
import { takenAside } from '../../../src/sync/names.ts';
import { calm, faultOf } from '../../contract/endpoint/kit.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { startProftpd } from '../../support/proftpd.ts';
import { DAEMON, startVsftpd } from '../../support/vsftpd.ts';
import { type AnyServer, entryFor, ftps, type StartServer, startTransfer } from './kit.ts';

const OLD_S = 1_500_000_000;
const PATH = '/files/report';

let certificates: Certificates;
before(async () => {
  certificates = await makeCertificates();
});
after(() => certificates[Symbol.asyncDispose]());

interface Stage extends AsyncDisposable {
  readonly server: AnyServer;
  readonly session: FtpsSession;
  /** Of the file `report`, with the content `old`. */
  readonly version: Entry['version'];
  /** What lies in the folder, by name. */
  contents(): Promise<Record<string, string>>;
  put(name: string, content: string): Promise<void>;
}

async function stage(start: StartServer): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await start({ certificate: await certificates.server('good') }));
  const session = stack.use(await ftps(entryFor(server, certificates)).connect(calm.signal));
  const put = async (name: string, content: string): Promise<void> => {
    const upload = join(server.folder, 'upload');
    await writeFile(upload, content);
    await chown(upload, DAEMON, DAEMON);
    await rename(upload, join(server.folder, name));
  };
  await put('report', 'old');
  await utimes(join(server.folder, 'report'), OLD_S, OLD_S);
  return {
    server,
    session,
    version: { sizeBytes: 3, mtimeMs: OLD_S * 1_000, tag: '' },
    contents: async () => {
      const entries = await readdir(server.folder, { withFileTypes: true });
      const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
      const read = files.map(
        async (name) => [name, await readFile(join(server.folder, name), 'utf8')] as const,
      );
      return Object.fromEntries(await Promise.all(read));
    },
    put,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Runs `work` once, between the look at a file and the command that takes it. */
function beforeCommand({ session }: Stage, command: string, work: () => Promise<unknown>): void {
  const { control } = session.connection;
  const real = { ask: control.ask.bind(control), askAll: control.askAll.bind(control) };
  const first = async (text: string | undefined): Promise<void> => {
    if (text?.startsWith(command) !== true) return;
    Object.assign(control, real);
    await work();
  };
  const ask: typeof control.ask = async (text, limitMs) => {
    await first(text);
    return await real.ask(text, limitMs);
  };
  const askAll = async (...texts: readonly string[]): Promise<readonly unknown[]> => {
    await first(texts[0]);
    return await real.askAll(...texts);
  };
  Object.assign(control, { ask, askAll });
}

for (const [name, start] of [
  ['vsftpd', startVsftpd],
  ['ProFTPD', startProftpd],
] as const) {
  describe(name, () => {
    test('a version that comes between the look and the removal stays', async () => {
      await using at = await stage(start);
      beforeCommand(at, 'RNFR', () => at.put('report', 'new'));
      await faultOf(at.session.remove(PATH, at.version, calm), 'changed');
      assert.deepEqual(await at.contents(), { report: 'new' });
    });

    test('a version that comes between the look and the archiving stays', async () => {
      await using at = await stage(start);
      beforeCommand(at, 'RNFR', () => at.put('report', 'new'));
      await faultOf(at.session.archive(PATH, at.version, '/files/sent/report', calm), 'changed');
      assert.deepEqual(await at.contents(), { report: 'new' });
      assert.deepEqual(await readdir(join(at.server.folder, 'sent')), []);
    });

    test('where still another one came meanwhile, both stay', async () => {
      await using at = await stage(start);
      beforeCommand(at, 'RNFR', async () => {
        await at.put('report', 'new');
        beforeCommand(at, at.session.connection.traits.facts ? 'MLST' : 'SIZE', () =>
          at.put('report', 'newest'),
        );
      });
      await faultOf(at.session.remove(PATH, at.version, calm), 'changed');
      assert.deepEqual(await at.contents(), { report: 'newest', 'report (1)': 'new' });
    });

    test('what a crash left aside is put back by the next listing, and listed', async () => {
      await using at = await stage(start);
      const aside = takenAside(PATH, '0123456789abcdef');
      assert.ok(aside);
      await rename(join(at.server.base, PATH), join(at.server.base, aside));
      at.session.connection.memory.aside.add(aside);
      assert.deepEqual(await listed(at), [], 'not while it is at work on it');
      assert.equal(Object.keys(await at.contents()).length, 1);
      at.session.connection.memory.aside.delete(aside);
      assert.deepEqual(await listed(at, true), [], 'not by who only looks');
      assert.deepEqual(await listed(at), [PATH]);
      assert.deepEqual(await at.contents(), { report: 'old' });
    });

    test('another Ferry that puts it back while it is removed loses nothing', async () => {
      await using at = await stage(start);
      await using other = await ftps(entryFor(at.server, certificates)).connect(calm.signal);
      beforeCommand(at, 'DELE', () => Array.fromAsync(other.list('/files', calm)));
      await faultOf(at.session.remove(PATH, at.version, calm), 'vanished');
      assert.deepEqual(await at.contents(), { report: 'old' });
    });
  });
}

test('Transfer Family, where a rename copies the whole object, is asked for none', async () => {
  await using at = await stage(startTransfer());
  let renames = 0;
  beforeCommand(at, 'RNFR', async () => {
    renames += 1;
  });
  await at.session.remove(PATH, at.version, calm);
  assert.deepEqual(await at.contents(), {});
  assert.equal(renames, 0);
});

async function listed({ session }: Stage, lookOnly = false): Promise<readonly string[]> {
  const entries = await Array.fromAsync(session.list('/files', { ...calm, lookOnly }));
  return entries.filter(({ kind }) => kind === 'file').map(({ path }) => path);
}
