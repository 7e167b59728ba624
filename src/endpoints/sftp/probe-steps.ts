/** What a check has passed and where it broke, each step with the time since the one before. */

import type { Fault } from '../../sync/errors.ts';
import { failedStep, type ProbeStep } from '../endpoint.ts';
import { Feed } from './feed.ts';

/** The step that a fault of the connect belongs to, where its code says so. */
const STEP_OF: readonly (readonly [step: string, codes: RegExp])[] = [
  ['name', /^(ENOTFOUND|EAI_AGAIN)$/],
  ['tcp', /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/],
  ['hop', /^(FORWARDING_PROHIBITED|HOP_|VIA_)/],
  ['proxy command', /^PROXY_COMMAND/],
  ['tunnel', /^PROXY_(FORBIDDEN|TARGET|TIMEOUT)$/],
  ['proxy', /^PROXY_/],
  ['aws tunnel', /^TUNNEL_/],
  ['banner', /^(HTTP|TLS|FTP)_ANSWER$/],
  ['key exchange', /^NO_COMMON_ALGORITHM$/],
  ['host key', /^(HOST_KEY_|KNOWN_HOSTS)/],
  ['login', /^(LOGIN_|KEY_|AGENT|PASSWORD_)/],
  ['sftp', /^(NO_SFTP|SFTP_NOISE|SFTP_CUT)$/],
];

/** What comes after the road: in the order in which a connect passes it. */
const SSH: readonly string[] = ['banner', 'key exchange', 'host key', 'login', 'sftp'];

/** The way that is walked. */
export interface Way {
  /** Jump hosts, the first to be reached first. */
  readonly hops: readonly string[];
  /** Steps of the road to the first host. */
  readonly road: readonly string[];
}

export class Steps {
  readonly feed = new Feed<ProbeStep>();
  readonly #passed = new Map<string, Set<string>>();
  #sinceMs = performance.now();

  /** @param host the jump host whose step it is */
  pass(step: string, saw: string, host = ''): void {
    const passed = this.#passed.get(host) ?? new Set();
    this.#passed.set(host, passed);
    if (passed.has(step)) return; // a second try, for another of its host keys
    passed.add(step);
    this.add({ step, ok: true, saw, ...(host === '' ? {} : { host }) });
  }

  add(step: ProbeStep): void {
    const nowMs = performance.now();
    this.feed.push({ ...step, ms: Math.round(nowMs - this.#sinceMs) });
    if (step.underway !== true) this.#sinceMs = nowMs;
  }

  fail(step: string, fault: Fault): void {
    this.add(failedStep(step, fault));
  }

  /** A connect broke: at which step, and of which host, its code or what was passed says. */
  connectFailed(fault: Fault, way: Way): void {
    const host = way.hops.find((hop) => this.#passed.get(hop)?.has('login') !== true);
    const first = host === undefined ? way.hops.length === 0 : host === way.hops[0];
    const steps = [...(first ? way.road : ['hop']), ...SSH];
    const passed = this.#passed.get(host ?? '');
    const byCode = STEP_OF.find(([, codes]) => codes.test(fault.code ?? ''))?.[0];
    const step = byCode ?? steps.find((each) => passed?.has(each) !== true) ?? 'sftp';
    this.add({ ...failedStep(step, fault), ...(host === undefined ? {} : { host }) });
  }
}
