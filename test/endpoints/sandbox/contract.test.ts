import assert from 'node:assert/strict';
import { join } from 'node:path';
import { valuesFor } from '../../../src/config/values.ts';
import { kinds } from '../../../src/endpoints/index.ts';
import { startServer } from '../../../src/endpoints/sandbox/server.ts';
import { cutBy, endpointContract } from '../../contract/endpoint.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { mountTmpfs } from '../../support/tmpfs.ts';
import { contextFor, type SandboxSetup, sandboxSetup } from './kit.ts';

await endpointContract('sandbox', async () => {
  await using undo = new AsyncDisposableStack();
  const s = undo.use(await sandboxSetup());
  for (const folder of ['base', 'small', 'closed']) await s.outside.mkdir(folder);
  undo.use(await mountTmpfs(4 * 1024 * 1024, join(s.files, 'small')));
  const closed = undo.use(await mountTmpfs(1024 * 1024, join(s.files, 'closed')));
  await closed.readOnly(true);
  const { endpoint: cuttable, proxy } = undo.use(await behindProxy(s));
  const owned = undo.move();
  return {
    endpoint: s.endpoint,
    folder: '/base',
    outside: s.outside.below('base'),
    modes: true,
    full: { folder: '/small', outside: s.outside.below('small') },
    forbidden: '/closed',
    cut: cutBy(proxy, cuttable),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
});

/** Another server on the same folder, reached by the SFTP endpoint through a proxy. */
async function behindProxy(s: SandboxSetup) {
  await using undo = new AsyncDisposableStack();
  const server = await startServer({
    folder: s.files,
    keyFile: join(s.dataFolder, 'host_key'),
    port: 0,
    password: undefined,
  });
  undo.defer(() => server.stop());
  const proxy = undo.use(await startFaultProxy({ port: server.port }));
  const { sftp } = kinds;
  assert.ok(sftp);
  const { user, password, hostKeyFingerprint } = server;
  const entry = { host: proxy.host, port: proxy.port, user, password, hostKey: hostKeyFingerprint };
  const settings = sftp.settings(valuesFor('/', '/')).parse(entry);
  const endpoint = await sftp.create(settings, contextFor(s.dataFolder));
  undo.defer(async () => endpoint.close?.());
  const owned = undo.move();
  return { endpoint, proxy, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
