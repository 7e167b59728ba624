/**
 * One call of `send`: takes the file as far as it gets without waiting long, from its note on.
 *
 *   choosing → staging → staged → starting → sent → (placing) → done
 *
 * Every step that asks something of the connector is in the ledger first. Where there is nothing to do but to wait, the
 * call ends as `pending`, so that no place at work is held.
 */

import { asFault, Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { type SendOptions, type SendResult, type SourceFile, sameVersion } from '../endpoint.ts';
import { choose } from './choose.ts';
import type { Connector } from './connector.ts';
import { Throttled } from './faults.ts';
import { follow } from './follow.ts';
import { isUnderWay, type Job, type Step } from './job.ts';
import { assertName } from './names.ts';
import { type Note, parseNote } from './note.ts';
import { place } from './place.ts';
import { MOST_FILE_BYTES } from './settings.ts';
import { stage } from './stage.ts';
import { search, start } from './start.ts';

/** Errors are Faults. */
export async function send(
  connector: Connector,
  source: SourceFile,
  path: FilePath,
  options: SendOptions,
): Promise<SendResult> {
  assertName(path);
  const { sizeBytes } = source.version;
  if (sizeBytes > MOST_FILE_BYTES) {
    throw new Fault(
      'permanent',
      `a connector takes 150 GiB a file at most, and this one has ${sizeBytes} bytes`,
      {
        code: 'EFBIG',
        advice: 'Split it, or send it over another endpoint.',
      },
    );
  }
  const job: Job = { connector, source, path, sizeBytes, options };
  let note = resumable(job);
  try {
    for (;;) {
      const step = await next(job, note);
      if ('state' in step) {
        if (step.state === 'done') free(job);
        return step;
      }
      note = step.note;
    }
  } catch (error) {
    const fault = asFault(error, options.signal);
    if (fault instanceof Throttled)
      return { state: 'pending', checkAfterMs: Math.max(fault.retryAfterMs, connector.settings.poll) };
    if (!isStillUnderWay(fault)) free(job);
    throw fault;
  }
}

function next(job: Job, note: Note | undefined): Promise<Step> {
  if (note === undefined) return choose(job, undefined);
  if (note.phase !== 'choosing')
    for (const name of [note.final, note.remote]) job.connector.names.take(name, job.options.token);
  switch (note.phase) {
    case 'choosing':
      return choose(job, note);
    case 'staging':
      return stage(job, note);
    case 'staged':
      return start(job, note);
    case 'starting':
      return search(job, note);
    case 'sent':
      return follow(job, note);
    case 'placing':
      return place(job, note);
  }
}

/** A note about another version is one of an earlier life of the file, and worth nothing. */
function resumable({ options, source, path }: Job): Note | undefined {
  const note = parseNote(options.resume);
  if (note === undefined || !sameVersion(note.version, source.version)) return undefined;
  // The job or its policy may be another by now.
  if (isUnderWay(note)) return note;
  const isSame = options.conflict === 'rename' || note.final === path;
  return isSame ? note : undefined;
}

/** The connector may be at work on it all the same. */
function isStillUnderWay({ kind }: Fault): boolean {
  return kind === 'unreachable' || kind === 'rejected' || kind === 'aborted';
}

function free({ connector, options }: Job): void {
  connector.looks.delete(options.token);
  connector.names.free(options.token);
}
