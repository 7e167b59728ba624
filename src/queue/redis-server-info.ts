/** Judges a Redis (or Valkey, or what calls itself so) by what it says of itself: `INFO`, RESP-independent text. */

import { Fault } from '../sync/errors.ts';

export interface ServerInfo {
  /** `Redis 7.0.15`, `Valkey 8.1.0` */
  readonly name: string;
}

/** What BullMQ calls its minimum (`RedisConnection.minimumVersion`); it refuses less. */
const MINIMUM = [5, 0, 0];

/**
 * @param info the answer to `INFO`
 * @param where host and port, for messages
 * @throws Fault `rejected`: too old, or it may throw entries away
 */
export function judgeServer(info: string, where: string): ServerInfo {
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const valkey = field('valkey_version');
  const version = valkey ?? field('redis_version') ?? 'of unknown version';
  const name = `${valkey === undefined ? 'Redis' : 'Valkey'} ${version}`;
  if (valkey === undefined && isOlder(version))
    throw new Fault(
      'rejected',
      `${name} at ${where} is too old: Ferry's queue needs ${MINIMUM.join('.')} or newer`,
      {
        code: 'REDIS_TOO_OLD',
        advice:
          'Upgrade that server, point REDIS_URL at a newer one, or unset REDIS_URL for the embedded queue.',
      },
    );
  const policy = field('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction')
    throw new Fault('rejected', `${name} at ${where} may throw entries away: maxmemory-policy is ${policy}`, {
      code: 'REDIS_EVICTS',
      advice:
        'Set maxmemory-policy to noeviction (redis.conf, `redis-cli CONFIG SET maxmemory-policy noeviction`, or the parameter group of a managed Redis).',
    });
  return { name };
}

function isOlder(version: string): boolean {
  const parts = version.split('.').map((part) => Number.parseInt(part, 10));
  if (parts.some(Number.isNaN)) return false;
  for (const [index, least] of MINIMUM.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part < least;
  }
  return false;
}
