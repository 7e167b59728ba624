/**
 * `ferry check`: walks the way to a server and does everything once that jobs do there, each step with what was seen,
 * until one breaks. Leaves nothing behind.
 */

import type { Passed } from '../../roads/road.ts';
import { asFault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { ProbeOptions, ProbeStep } from '../endpoint.ts';
import { bounded } from './bounded.ts';
import type { SftpEndpoint } from './endpoint.ts';
import { nativeCryptoLoaded } from './native.ts';
import { FileSteps } from './probe-files.ts';
import { limitStep } from './probe-limit.ts';
import { Steps } from './probe-steps.ts';
import type { SftpSession } from './session.ts';
import { hashThere } from './shell.ts';

/** Never throws. */
export function probe(
  endpoint: SftpEndpoint,
  folder: FilePath,
  options: ProbeOptions,
): AsyncIterable<ProbeStep> {
  const steps = new Steps();
  void walk(endpoint, folder, options, steps)
    .catch((error: unknown) => steps.fail('check', asFault(error, options.signal)))
    .finally(() => steps.feed.end());
  return steps.feed;
}

async function walk(
  endpoint: SftpEndpoint,
  folder: FilePath,
  options: ProbeOptions,
  steps: Steps,
): Promise<void> {
  const { signal, use } = options;
  const passed: Passed = (step, saw, host) => steps.pass(step, saw, host);
  let session: SftpSession | undefined;
  try {
    if (use === 'forward') await endpoint.reach(signal, passed);
    else session = await endpoint.open(signal, passed);
  } catch (error) {
    steps.connectFailed(asFault(error, signal), await endpoint.way());
    return;
  }
  if (session !== undefined && !(await atWork(endpoint, session, folder, options, steps))) return;
  try {
    steps.add(await limitStep(endpoint, options, steps));
  } catch (error) {
    steps.fail('idle limit', asFault(error, signal));
  }
}

/** What jobs do in a session. Resolves to false when something of it broke. */
async function atWork(
  endpoint: SftpEndpoint,
  session: SftpSession,
  folder: FilePath,
  { signal, use }: ProbeOptions,
  steps: Steps,
): Promise<boolean> {
  await using open = session;
  const files = new FileSteps(open, steps);
  try {
    await bounded(open.remote.link, signal, async () => {
      await hosts(endpoint, signal, steps);
      const there = use === 'read' ? await files.read(folder, signal) : await files.write(folder);
      files.step = 'capabilities';
      steps.add(await capabilities(endpoint, open, there));
    });
    return true;
  } catch (error) {
    steps.fail(files.step, asFault(error, signal));
    return false;
  }
}

/** More connects, to see whether one name leads to several hosts. */
async function hosts(endpoint: SftpEndpoint, signal: AbortSignal, steps: Steps): Promise<void> {
  if (endpoint.settings.road !== undefined) return; // it leads to one instance, and tunnels are few
  const keys = await endpoint.hostKeys({ signal });
  if (new Set(keys.map((key) => key.type)).size === keys.length) return;
  const strangers = keys.filter((key) => !key.pinned).length;
  steps.add({
    step: 'hosts',
    ok: true,
    warning: true,
    saw: `several hosts answer behind this name: ${keys.map((key) => `${key.type} ${key.fingerprint}`).join(', ')}`,
    means: `Files land on any of these hosts${strangers > 0 ? `, and ${strangers} of their keys ${strangers === 1 ? 'is' : 'are'} not pinned: connections that get there will be refused` : ''}.`,
    advice:
      strangers > 0
        ? `Pin them all (ferry trust ${endpoint.name}), and make sure that they share one disk, or let the load balancer have one target.`
        : 'Make sure that they share one disk (EFS), or let the load balancer have one target.',
  });
}

async function capabilities(
  endpoint: SftpEndpoint,
  session: SftpSession,
  folder: FilePath,
): Promise<ProbeStep> {
  const { remote } = session;
  await hashThere(remote, folder === '' ? '.' : folder, 0); // finds out whether there is a shell
  const can = session.capabilities;
  const native = nativeCryptoLoaded();
  const saw = [
    `${can.filesInFlight} files in flight on each of ${endpoint.connections} connections`,
    can.resume ? 'resumes' : 'does not resume',
    can.positionalWrites ? 'several connections for a large file' : 'one connection for a file',
    `checksums ${can.checksum === 'remote' ? 'computed there' : 'by reading back'}`,
    `${remote.cipher} ${native ? 'by native code' : 'in JavaScript'}`,
  ];
  const step = { step: 'capabilities', ok: true, saw: saw.join('; ') };
  if (native) return step;
  return {
    ...step,
    warning: true,
    means: "ssh2's native addon is not built for this Node: transfers are slower.",
    advice: 'npm rebuild ssh2',
  };
}
