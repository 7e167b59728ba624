/** A local endpoint on a temporary folder, for tests of what is its own. */

import type { Session } from '../../../src/endpoints/endpoint.ts';
import { createLocal } from '../../../src/endpoints/local/endpoint.ts';
import { type Outside, outsideOf } from '../../contract/endpoint.ts';
import { temporaryFolder } from '../../support/files.ts';

export interface LocalSetup extends AsyncDisposable {
  readonly root: string;
  readonly outside: Outside;
  readonly session: Session;
}

export const signal = new AbortController().signal;

export async function localSetup(): Promise<LocalSetup> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await temporaryFolder('local'));
  const session = undo.use(await createLocal({ path: folder.path }, { name: 'folder' }).connect(signal));
  const owned = undo.move();
  return {
    root: folder.path,
    outside: outsideOf(folder.path),
    session,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
