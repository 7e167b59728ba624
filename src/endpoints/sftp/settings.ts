/** The settings of an SFTP endpoint, as they stand in endpoints.yaml. Light: read at start, loads no SSH. */

import { z } from 'zod';
import type { Values } from '../../config/values.ts';
import { freshKeySettings, roadProblems, roadSettings } from './road-settings.ts';
import { oneOrMore } from './values.ts';

const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}=?$/;

export const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
] as const;

const fingerprint = z
  .string()
  .regex(
    FINGERPRINT,
    'a host key is written as ssh-keygen -l prints it: SHA256: and 43 characters; `ferry trust` writes it',
  );

export function settings(values: Values) {
  return z
    .strictObject({
      sshConfig: z
        .union([z.string().min(1), z.strictObject({ host: z.string().min(1), file: values.path.optional() })])
        .optional()
        .describe('A Host of ~/.ssh/config (or of file) to take settings from; what is written here wins'),
      host: z
        .string()
        .min(1)
        .optional()
        .describe('Name or address of the server, or of the load balancer in front of it; not with road'),
      port: z.int().min(1).max(65_535).default(22),
      user: z.string().min(1),
      key: oneOrMore(values.path)
        .default([])
        .describe('Private key file, or several to try: OpenSSH, PEM or PuTTY (.ppk)'),
      passphrase: z.string().optional().describe('Of the key'),
      password: z.string().optional().describe('Also answers keyboard-interactive questions'),
      agent: z
        .union([z.boolean(), values.path])
        .optional()
        .describe('true: the one of SSH_AUTH_SOCK; or its socket'),
      identitiesOnly: z
        .boolean()
        .default(false)
        .describe("Of the agent's keys, only those that key names (it may name public keys then)"),
      ephemeralKey: freshKeySettings
        .optional()
        .describe('A fresh key for each login, installed by EC2 Instance Connect and never on a disk'),
      hostKey: oneOrMore(fingerprint)
        .default([])
        .describe('SHA256 fingerprints, one per server behind the name'),
      knownHosts: oneOrMore(values.path).default([]).describe('A known_hosts file, or several'),
      hostKeyAlias: z
        .string()
        .min(1)
        .optional()
        .describe('The name to look for in known_hosts, instead of host and port'),
      idleTimeout: values.duration.prefault('350s').describe('Of the load balancer in front'),
      ...roadSettings(values),
      connections: z.int().min(1).max(64).default(4).describe('At most so many at once'),
      filesInFlight: z.int().min(1).max(1024).default(128).describe('On one connection'),
      connectTimeout: values.duration.prefault('20s').describe('From the name to a session that works'),
      keepAlive: values.duration.optional().describe('Default: a third of idleTimeout, 15s at most'),
      timeout: values.duration
        .prefault('60s')
        .describe('A connection without a sign of life for so long is given up'),
      ciphers: z.array(z.enum(CIPHERS)).min(1).optional().describe('In order of preference'),
      server: z
        .enum(['auto', 'openssh', 'aws-transfer', 'generic'])
        .default('auto')
        .describe('What the server can do: found out, or told'),
      rename: z
        .enum(['auto', 'never'])
        .default('auto')
        .describe('never: files are written under their final name'),
      sync: z
        .boolean()
        .default(false)
        .describe('Have the server put each file on its disk before it counts as delivered'),
    })
    .superRefine((given, context) => {
      const problem = (path: string, message: string): void =>
        context.addIssue({ code: 'custom', path: [path], message });
      if (given.host === undefined && given.road === undefined) problem('host', '"host" is missing');
      if (given.host !== undefined && given.road !== undefined)
        problem('host', 'host and road exclude each other: the instance is where the road leads');
      const { ephemeralKey } = given;
      if (
        given.key.length === 0 &&
        given.password === undefined &&
        !given.agent &&
        ephemeralKey === undefined
      ) {
        problem('key', 'there is no way to log in: set key, password, agent or ephemeralKey');
      }
      if (ephemeralKey !== undefined && (ephemeralKey.instance ?? given.road?.eice.instance) === undefined)
        problem('ephemeralKey', 'ephemeralKey needs the instance: { instance: i-… }');
      if (given.passphrase !== undefined && given.key.length === 0)
        problem('passphrase', 'a passphrase needs a key');
      roadProblems(given, problem);
    })
    .transform((given) => ({ ...given, host: given.host ?? given.road?.eice.instance ?? '' }));
}

export type SftpSettings = z.output<ReturnType<typeof settings>>;
