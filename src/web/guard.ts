/**
 * Who may see Ferry's pages, and how a browser has to treat them. Everything is read-only: anything but GET and
 * HEAD is refused before it is looked at.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isLoopback } from './address.ts';
import { REFRESH, STYLE } from './page-style.ts';

/** Why a request is not answered. */
export interface Refused {
  readonly status: 401 | 405 | 421;
  readonly message: string;
}

export class Guard {
  readonly #digest: Buffer | undefined;

  constructor(token: string | undefined) {
    this.#digest = token === undefined ? undefined : digestOf(token);
  }

  /** True for who knows the token, or where none is needed. */
  knows(request: IncomingMessage): boolean {
    if (this.#digest === undefined) return true;
    const given = tokenIn(request.headers.authorization);
    return given !== undefined && timingSafeEqual(digestOf(given), this.#digest);
  }

  /** @param open answered without the token too (health, for whoever supervises the process) */
  refuse(request: IncomingMessage, open: boolean): Refused | undefined {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return { status: 405, message: 'Only GET and HEAD: Ferry is steered by its command line.' };
    // Without a token, a page from elsewhere must not read ours by pointing its own name at this machine
    // (DNS rebinding). With one, its name has no password of ours.
    if (this.#digest === undefined && !isOurs(request.headers.host))
      return { status: 421, message: 'Ask for localhost or 127.0.0.1.' };
    if (open || this.knows(request)) return undefined;
    return {
      status: 401,
      message: 'The token is needed: as the password (any user), or as "Authorization: Bearer …".',
    };
  }
}

/** On every answer. Of styles and scripts only the status page's own are let in, word for word. */
export function protect(response: ServerResponse): void {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
}

const HEADERS = {
  'content-security-policy': `default-src 'none'; style-src '${hashOf(STYLE)}'; script-src '${hashOf(REFRESH)}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

/** As Content-Security-Policy wants it (CSP level 3, hash-source). */
function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

/** RFC 6750 (Bearer) or RFC 7617 (Basic, with the token as the password). */
function tokenIn(authorization: string | undefined): string | undefined {
  const [, scheme, value] = /^(bearer|basic) +(\S+) *$/i.exec(authorization ?? '') ?? [];
  if (scheme === undefined || value === undefined) return undefined;
  if (scheme.toLowerCase() === 'bearer') return value;
  const pair = Buffer.from(value, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 ? undefined : pair.slice(colon + 1);
}

function isOurs(host: string | undefined): boolean {
  const name = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host ?? '');
  return isLoopback(name?.[1] ?? name?.[2] ?? '');
}

/** Of equal length, whatever was given. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
