import { join } from 'node:path';
import { endpointContract } from '../../contract/endpoint.ts';
import { mountTmpfs } from '../../support/tmpfs.ts';
import { sandboxSetup } from './kit.ts';

await endpointContract('sandbox', async () => {
  await using undo = new AsyncDisposableStack();
  const s = undo.use(await sandboxSetup());
  for (const folder of ['base', 'small', 'closed']) await s.outside.mkdir(folder);
  undo.use(await mountTmpfs(4 * 1024 * 1024, join(s.files, 'small')));
  const closed = undo.use(await mountTmpfs(1024 * 1024, join(s.files, 'closed')));
  await closed.readOnly(true);
  const owned = undo.move();
  return {
    endpoint: s.endpoint,
    folder: '/base',
    outside: s.outside.below('base'),
    modes: true,
    full: { folder: '/small', outside: s.outside.below('small') },
    forbidden: '/closed',
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
});
