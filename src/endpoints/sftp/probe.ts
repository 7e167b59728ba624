/**
 * `ferry check`: walks the way to a server and does everything once that a delivery does, each step with what was
 * seen, until one breaks. Leaves nothing behind.
 */

import { randomBytes } from 'node:crypto';
import { asFault, Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, OWN_PREFIX, printable } from '../../sync/names.ts';
import type { CallOptions, ProbeStep } from '../endpoint.ts';
import { bounded } from './bounded.ts';
import { brokenStep } from './connect-faults.ts';
import type { SftpEndpoint } from './endpoint.ts';
import { Feed } from './feed.ts';
import { kindOf } from './kinds.ts';
import { nativeCryptoLoaded } from './native.ts';
import { lookAt, publish } from './publish.ts';
import { explain, type Remote } from './remote.ts';
import type { SftpSession } from './session.ts';
import { hashThere } from './shell.ts';
import { createTemp, inFolderOf, openInFolder, removeIfThere, tempPath } from './temp.ts';
import { FLAG } from './wire.ts';

const CONTENT = Buffer.from('Written by "ferry check"; it removes this file again.\n');

/** Never throws. */
export function probe(
  endpoint: SftpEndpoint,
  folder: FilePath,
  options: CallOptions,
): AsyncIterable<ProbeStep> {
  const feed = new Feed<ProbeStep>();
  const walk = new ProbeWalk(endpoint, feed, options.signal);
  void walk.run(folder).then(
    () => feed.end(),
    () => feed.end(),
  );
  return feed;
}

class ProbeWalk {
  readonly #endpoint: SftpEndpoint;
  readonly #feed: Feed<ProbeStep>;
  readonly #signal: AbortSignal;
  #sinceMs = performance.now();
  readonly #passed: string[] = [];

  constructor(endpoint: SftpEndpoint, feed: Feed<ProbeStep>, signal: AbortSignal) {
    this.#endpoint = endpoint;
    this.#feed = feed;
    this.#signal = signal;
  }

  async run(folder: FilePath): Promise<void> {
    let session: SftpSession;
    try {
      session = await this.#endpoint.open(this.#signal, (step, saw) => this.#pass(step, saw));
    } catch (error) {
      this.#fail(brokenStep(asFault(error, this.#signal), this.#passed), error);
      return;
    }
    await using open = session;
    const { remote } = open;
    let step = 'folder';
    const at = (name: string): void => {
      step = name;
    };
    try {
      await bounded(remote.link, this.#signal, async () => {
        await this.#hosts();
        const where = await this.#folder(remote, folder);
        if (remote.memory.renames) await this.#writeAndRename(remote, where, at);
        if (!remote.memory.renames) await this.#writeDirectly(remote, where, at);
        await this.#capabilities(open, where);
      });
    } catch (error) {
      this.#fail(step, error);
    }
  }

  /** More connects, to see whether one name leads to several hosts. */
  async #hosts(): Promise<void> {
    const keys = await this.#endpoint.hostKeys({ signal: this.#signal });
    const strangers = keys.filter((key) => !key.pinned);
    const sameType = new Set(keys.map((key) => key.type)).size < keys.length;
    if (!sameType) return;
    const seen = keys.map((key) => `${key.type} ${key.fingerprint}`).join(', ');
    this.#step({
      step: 'host key',
      ok: true,
      warning: true,
      saw: `several hosts answer behind this name: ${seen}`,
      advice:
        strangers.length > 0
          ? `Pin them all (ferry trust ${this.#endpoint.name}); and know that files land on any of these hosts.`
          : 'Files land on any of these hosts: make sure that they share one disk, or let the load balancer have one target.',
    });
  }

  /** The folder to write in: the one that was asked for, or the nearest above that is there. */
  async #folder(remote: Remote, folder: FilePath): Promise<FilePath> {
    let nearest = folder;
    for (;;) {
      const there = await lookAt(remote, nearest === '' ? '.' : nearest);
      if (there !== undefined) {
        const real = await remote.wire.stat(nearest === '' ? '.' : nearest).catch(() => there);
        if (kindOf(real) !== 'folder') {
          throw new Fault('permanent', `${printable(nearest)} is not a folder`, { code: 'ENOTDIR' });
        }
        break;
      }
      if (nearest === '' || nearest === '/') break;
      nearest = folderOf(nearest);
    }
    const shown = await remote.wire.realpath(nearest === '' ? '.' : nearest).catch(() => nearest);
    if (nearest === folder) this.#step({ step: 'folder', ok: true, saw: printable(shown) });
    else {
      this.#step({
        step: 'folder',
        ok: true,
        warning: true,
        saw: `${printable(folder)} is not there yet`,
        advice: `The first delivery makes it, in ${printable(shown)}; is the path right?`,
      });
    }
    return nearest === '' ? 'x' : `${nearest === '/' ? '' : nearest}/x`;
  }

  async #writeAndRename(remote: Remote, where: FilePath, at: (step: string) => void): Promise<void> {
    const token = `check${randomBytes(6).toString('hex').slice(0, 11)}`;
    const temp = tempPath(where, token);
    const target = inFolderOf(where, `${OWN_PREFIX}${token}.done`);
    try {
      at('write');
      await write(remote, temp, () => createTemp(remote, temp, temp, undefined));
      this.#step({ step: 'write', ok: true, saw: `${CONTENT.length} bytes under a temporary name` });
      at('rename');
      const first = await publish(remote, temp, target, { replace: true, token });
      if (first === 'refused') {
        remote.memory.renames = false;
        this.#step({
          step: 'rename',
          ok: true,
          warning: true,
          saw: 'the server lets no file be renamed',
          advice:
            'Files are written under their final name: whoever reads there may see a part of one. Allow renaming, if you can.',
        });
        return;
      }
      await write(remote, temp, () => createTemp(remote, temp, temp, undefined));
      await publish(remote, temp, target, { replace: true, token });
      const { posixRename } = remote.traits;
      this.#step({
        step: 'rename',
        ok: true,
        saw: posixRename
          ? 'renamed, and replaced an older file in one step'
          : 'renamed; older files are moved aside first',
        ...(posixRename ? {} : { warning: true }),
      });
      at('delete');
      await remote.wire.remove(target);
      this.#step({ step: 'delete', ok: true, saw: 'removed again' });
    } catch (error) {
      throw await explain(remote, error, 'remove', target);
    } finally {
      await removeIfThere(remote, temp).catch(() => undefined);
      await removeIfThere(remote, target).catch(() => undefined);
    }
  }

  async #writeDirectly(remote: Remote, where: FilePath, at: (step: string) => void): Promise<void> {
    const path = inFolderOf(where, `${OWN_PREFIX}check${randomBytes(6).toString('hex')}.txt`);
    try {
      at('write');
      const open = (): Promise<Buffer> => remote.wire.open(path, FLAG.write | FLAG.create | FLAG.truncate);
      await write(remote, path, () => openInFolder(remote, path, open));
      this.#step({ step: 'write', ok: true, saw: `${CONTENT.length} bytes under the final name` });
      at('delete');
      await remote.wire.remove(path);
      this.#step({ step: 'delete', ok: true, saw: 'removed again' });
    } catch (error) {
      await removeIfThere(remote, path).catch(() => undefined);
      throw await explain(remote, error, 'remove', path);
    }
  }

  async #capabilities(session: SftpSession, where: FilePath): Promise<void> {
    const { remote } = session;
    await hashThere(remote, folderOf(where) || '.', 0); // finds out whether there is a shell
    const { capabilities } = session;
    const native = nativeCryptoLoaded();
    const saw = [
      `${capabilities.filesInFlight} files in flight on each of ${this.#endpoint.connections} connections`,
      capabilities.resume ? 'resumes' : 'does not resume',
      capabilities.positionalWrites ? 'several connections for a large file' : 'one connection for a file',
      `checksums ${capabilities.checksum === 'remote' ? 'computed there' : 'by reading back'}`,
      `${remote.cipher} ${native ? 'by native code' : 'in JavaScript'}`,
    ];
    this.#step({
      step: 'capabilities',
      ok: true,
      saw: saw.join('; '),
      ...(native
        ? {}
        : {
            warning: true,
            advice:
              "ssh2's native addon is not built for this Node: transfers are slower (npm rebuild ssh2).",
          }),
    });
  }

  #pass(step: string, saw: string): void {
    if (this.#passed.includes(step)) return; // a second try, for another of its host keys
    this.#passed.push(step);
    this.#step({ step, ok: true, saw });
  }

  #step(step: ProbeStep): void {
    const nowMs = performance.now();
    this.#feed.push({ ...step, ms: Math.round(nowMs - this.#sinceMs) });
    this.#sinceMs = nowMs;
  }

  #fail(step: string, error: unknown): void {
    const { message, advice } = asFault(error, this.#signal);
    this.#step({ step, ok: false, saw: message, ...(advice === undefined ? {} : { advice }) });
  }
}

async function write(remote: Remote, path: FilePath, open: () => Promise<Buffer>): Promise<void> {
  const { wire, traits } = remote;
  const handle = await open();
  try {
    await wire.write(handle, CONTENT, 0);
    if (!traits.commitsAtClose && (await wire.fstat(handle)).sizeBytes !== CONTENT.length) {
      throw new Fault('transient', `${remote.name} did not keep what was written`, { code: 'SIZE_MISMATCH' });
    }
  } catch (error) {
    throw await explain(remote, error, 'write', path);
  } finally {
    await wire.close(handle).catch(() => undefined);
  }
}
