/**
 * The host key that TestConnection saw, and the command that makes the connector trust it. AWS keeps those keys with the
 * connector, so Ferry pins nothing itself. Transfer Family trusts RSA and ECDSA keys.
 */

import { createHash } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import type { SeenHostKey } from '../endpoint.ts';
import type { Api } from './api.ts';
import type { ConnectorSettings } from './settings.ts';

/** A key as it is written: type and body, perhaps after a host name or before a comment. */
export interface Key {
  readonly type: string;
  readonly body: string;
  /** `SHA256:` and base64 without padding. */
  readonly fingerprint: string;
}

/** Undefined where it is none. */
export function keyOf(written: string): Key | undefined {
  const [, type, body] = /(?:^|\s)((?:ssh|ecdsa|sk)-[\w@.-]+)\s+([A-Za-z0-9+/=]+)/.exec(written) ?? [];
  if (type === undefined || body === undefined) return undefined;
  const digest = createHash('sha256').update(Buffer.from(body, 'base64')).digest('base64');
  return { type, body, fingerprint: `SHA256:${digest.replace(/=+$/, '')}` };
}

export async function hostKeys(
  api: Api,
  settings: ConnectorSettings,
  signal: AbortSignal,
): Promise<readonly SeenHostKey[]> {
  const { SftpConfig } = await api.describe(signal);
  const trusted = (SftpConfig?.TrustedHostKeys ?? []).flatMap((written) => keyOf(written) ?? []);
  const { message, hostKey } = await api.test(signal);
  const seen = hostKey === undefined ? undefined : keyOf(hostKey);
  if (seen === undefined) {
    if (trusted.length > 0)
      return trusted.map(({ type, fingerprint }) => ({ type, fingerprint, pinned: true }));
    throw new Fault('unreachable', `TestConnection saw no host key: ${message}`, {
      code: 'NO_HOST_KEY',
      during: 'connect',
      advice: '`ferry check` shows whether the connector reaches the server at all.',
    });
  }
  const pinned = trusted.some(({ fingerprint }) => fingerprint === seen.fingerprint);
  const { type, fingerprint } = seen;
  if (pinned) return [{ type, fingerprint, pinned }];
  const all = [...trusted, seen].map((key) => `${key.type} ${key.body}`);
  return [{ type, fingerprint, pinned, pinBy: await updateCommand(api, settings, SftpConfig ?? {}, all) }];
}

/** The call replaces the whole of the SFTP configuration, so all of it is in the command. */
async function updateCommand(
  api: Api,
  { connector, profile }: ConnectorSettings,
  config: object,
  TrustedHostKeys: readonly string[],
): Promise<string> {
  const region = await api.transfer.config.region();
  const json = JSON.stringify({ ...config, TrustedHostKeys }).replaceAll("'", "'\\''");
  const who = profile === undefined ? '' : ` --profile ${profile}`;
  return `aws transfer update-connector --region ${region}${who} --connector-id ${connector} --sftp-config '${json}'`;
}

export function isTrustable({ type }: Pick<Key, 'type'>): boolean {
  return type === 'ssh-rsa' || type.startsWith('ecdsa-sha2-nistp');
}
