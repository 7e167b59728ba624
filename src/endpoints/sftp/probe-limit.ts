/** The last step of a check: the idle limit of what is on the way, as set and, where asked, as measured. */

import type { ProbeOptions, ProbeStep } from '../endpoint.ts';
import type { SftpEndpoint } from './endpoint.ts';
import { idleMsOf, keepAliveOf } from './keep-alive.ts';
import { type Idle, measureIdle } from './probe-idle.ts';
import type { Steps } from './probe-steps.ts';
import type { SftpSettings } from './settings.ts';

const STEP = 'idle limit';
/** A bit more than a load balancer usually waits: 350 s. */
const USUAL_MS = 400_000;
/** As measured, a limit is set to a bit less. */
const MARGIN = 0.9;

type Seen = Omit<ProbeStep, 'step'>;

/** @throws Fault when no connection can be opened to measure with */
export async function limitStep(
  endpoint: SftpEndpoint,
  { idle, signal }: ProbeOptions,
  steps: Steps,
): Promise<ProbeStep> {
  const { settings } = endpoint;
  if (idle === undefined) return { step: STEP, ...asSet(settings) };
  const upToMs = idle.upToMs ?? Math.max(USUAL_MS, settings.idleTimeout * 1.15);
  const measured = await measureIdle({
    upToMs,
    signal,
    open: () => endpoint.bare(signal),
    underway: (connections, survivedMs) => {
      const saw =
        survivedMs === 0
          ? `${connections} connections sit idle, for up to ${shown(upToMs)}`
          : `still there after ${shown(survivedMs)} without traffic; measuring up to ${shown(upToMs)}`;
      if (survivedMs < upToMs) steps.add({ step: STEP, ok: true, underway: true, saw });
    },
  });
  return { step: STEP, ...verdict(measured, settings) };
}

function asSet(settings: SftpSettings): Seen {
  const keepAliveMs = keepAliveOf(settings);
  const saw = `idleTimeout is ${shown(settings.idleTimeout)}: keep-alives every ${shown(keepAliveMs)}, unused sessions are closed after ${shown(idleMsOf(settings))}`;
  if (keepAliveMs < settings.idleTimeout) return { ok: true, saw };
  return {
    ok: true,
    warning: true,
    saw,
    means: 'The keep-alives come later than the load balancer forgets: connections at work are dropped.',
    advice: 'Leave keepAlive out, or set it to less than idleTimeout.',
  };
}

/** What a measured limit says of the settings. */
export function verdict(measured: Idle, settings: SftpSettings): Seen {
  const { droppedMs, heard, how, survivedMs } = measured;
  if (droppedMs === undefined) return survived(measured);
  const keepAliveMs = keepAliveOf(settings);
  const saw = {
    closed: `connections are closed after ${shown(droppedMs)} without traffic`,
    reset: `connections are forgotten after ${between(survivedMs, droppedMs)} without traffic, and what comes later is reset`,
    silent: `connections are forgotten after ${between(survivedMs, droppedMs)} without traffic, and what comes later is not answered`,
  }[how ?? 'silent'];
  // A connection that was closed says exactly when; else only the longest that survived is sure.
  const surelyMs = how === 'closed' ? droppedMs : survivedMs;
  const fitting = Math.floor((surelyMs * MARGIN) / 1_000);
  const setIt =
    fitting >= 1
      ? `Set idleTimeout: ${fitting}s${settings.keepAlive === undefined ? '' : ', and leave keepAlive out'}.`
      : 'Measure more finely, with a shorter --idle, to see what idleTimeout to set.';
  if (keepAliveMs >= surelyMs) {
    return {
      ok: false,
      saw: `${saw}; keep-alives go every ${shown(keepAliveMs)}`,
      means:
        'The limit is shorter than the keep-alive: connections are dropped while Ferry waits for an answer.',
      advice: setIt,
    };
  }
  if (settings.idleTimeout > droppedMs) {
    return {
      ok: true,
      warning: true,
      saw,
      means: `idleTimeout is ${shown(settings.idleTimeout)}, more than that; keep-alives every ${shown(keepAliveMs)} still keep connections known.`,
      advice: setIt,
    };
  }
  return {
    ok: true,
    saw: `${saw}; idleTimeout (${shown(settings.idleTimeout)}) fits${heard ? OWN_WORDS : ''}`,
  };
}

const OWN_WORDS = '; the server sends something itself now and then (ClientAliveInterval)';

function survived({ survivedMs, heard }: Idle): Seen {
  const saw = `connections were still there after ${shown(survivedMs)} without traffic of ours`;
  if (!heard) return { ok: true, saw };
  return {
    ok: true,
    warning: true,
    saw: `${saw}${OWN_WORDS}`,
    means:
      'No connection was idle for long, so that the limit of a load balancer did not show; nor will it matter.',
    advice: 'To measure it all the same, turn ClientAliveInterval off in its sshd_config for that time.',
  };
}

function between(survivedMs: number, droppedMs: number): string {
  return survivedMs === 0 ? `less than ${shown(droppedMs)}` : `${shown(survivedMs)} to ${shown(droppedMs)}`;
}

function shown(ms: number): string {
  const seconds = ms / 1_000;
  return `${seconds >= 10 ? Math.round(seconds) : Math.round(seconds * 10) / 10} s`;
}
