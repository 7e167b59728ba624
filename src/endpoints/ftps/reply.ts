/** What a server answers, and what is in it (RFC 959 section 4.2, RFC 2428, RFC 3659). */

import type { FilePath } from '../../sync/names.ts';
import { nameOfWire } from './names.ts';

/** As Latin-1, each char a byte that the server sent. */
export interface Reply {
  readonly code: number;
  /** All of it, with codes; lines end in \n. */
  readonly text: string;
}

export function isPreliminary(reply: Reply): boolean {
  return reply.code < 200;
}

/** Done, or waiting for the next command (RNFR, REST). */
export function isGood(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 400;
}

/** The server does not know the command, or not with that argument. */
export function isUnknown(reply: Reply): boolean {
  return [500, 501, 502, 504].includes(reply.code);
}

/** The first line without its code. */
export function saying(reply: Reply): string {
  return (reply.text.split('\n', 1)[0] ?? '').slice(4).trim();
}

/** `229 Entering Extended Passive Mode (|||6446|)` → 6446. RFC 2428 lets a server use another delimiter. */
export function epsvPort(reply: Reply): number | undefined {
  const match = /\(([\x21-\x7e])\1\1(\d{1,5})\1\)/.exec(reply.text);
  const port = Number(match?.[2]);
  return reply.code === 229 && port > 0 && port < 65_536 ? port : undefined;
}

/** `227 Entering Passive Mode (10,0,0,1,25,46)` → 6446. The address is not looked at: the control connection's is used. */
export function pasvPort(reply: Reply): number | undefined {
  const match = /(?<!\d)(?:\d{1,3},){4}(\d{1,3}),(\d{1,3})(?!\d)/.exec(reply.text);
  if (reply.code !== 227 || match === null) return undefined;
  const port = Number(match[1]) * 256 + Number(match[2]);
  return port > 0 && port < 65_536 ? port : undefined;
}

/** `213 4096` */
export function sizeIn(reply: Reply): number | undefined {
  const match = /^213 (\d+)/.exec(reply.text);
  return match === null ? undefined : Number(match[1]);
}

/** `213 20261122010814` or `….123`, in UTC → ms. */
export function mdtmIn(reply: Reply): number | undefined {
  const match = /^213 (\d{14}(?:\.\d+)?)/.exec(reply.text);
  return match === null ? undefined : timeVal(match[1] ?? '');
}

/** RFC 3659 section 2.3: YYYYMMDDHHMMSS[.fraction] in UTC → ms. */
export function timeVal(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const ms = Math.floor(Number(`0.${match[7] ?? '0'}`) * 1000);
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second) + ms;
}

/** The reverse; whole seconds. */
export function timeValOf(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:T]|\.\d+Z$/g, '');
}

/** `257 "/a ""quoted"" folder" is current` (RFC 959 appendix II). */
export function pathIn(reply: Reply): FilePath | undefined {
  const match = /^257[ -]"((?:[^"]|"")*)"/.exec(reply.text);
  return match === null ? undefined : nameOfWire((match[1] ?? '').replaceAll('""', '"'));
}

/** FEAT (RFC 2389): upper-case names with their parameters. */
export function featuresIn(reply: Reply): ReadonlyMap<string, string> {
  const features = new Map<string, string>();
  if (reply.code !== 211) return features;
  for (const line of reply.text.split('\n').slice(1, -1)) {
    const [name = '', ...parameters] = line.replace(/^211-/, '').trim().split(' ');
    if (name !== '') features.set(name.toUpperCase(), parameters.join(' '));
  }
  return features;
}

/** The fact line of a reply to MLST: the one that is indented. */
export function factLineIn(reply: Reply): string | undefined {
  if (reply.code !== 250) return undefined;
  return reply.text
    .split('\n')
    .find((line) => line.startsWith(' '))
    ?.slice(1);
}

/** The SHA-256 in a reply to HASH (draft-bryan-ftpext-hash) or XSHA256, lower-case. */
export function sha256In(reply: Reply): string | undefined {
  return isGood(reply) ? /\b[0-9a-f]{64}\b/i.exec(reply.text)?.[0].toLowerCase() : undefined;
}
