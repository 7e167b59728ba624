import { join } from 'node:path';
import { createLocal } from '../../../src/endpoints/local/endpoint.ts';
import { endpointContract, outsideOf } from '../../contract/endpoint.ts';
import { temporaryFolder } from '../../support/files.ts';
import { mountTmpfs } from '../../support/tmpfs.ts';

await endpointContract('local', async () => {
  await using undo = new AsyncDisposableStack();
  const root = undo.use(await temporaryFolder('local'));
  const base = outsideOf(root.path);
  await base.mkdir('base');
  await base.mkdir('small');
  await base.mkdir('closed');
  undo.use(await mountTmpfs(4 * 1024 * 1024, join(root.path, 'small')));
  const closed = undo.use(await mountTmpfs(1024 * 1024, join(root.path, 'closed')));
  await closed.readOnly(true);
  const owned = undo.move();
  return {
    endpoint: createLocal({ path: root.path }, { name: 'folder' }),
    folder: 'base',
    outside: base.below('base'),
    modes: true,
    full: { folder: 'small', outside: base.below('small') },
    forbidden: 'closed',
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
});
