/**
 * A key for one login: made in memory, and its public half installed on the instance by EC2 Instance Connect, which
 * takes it away again after 60 s. Needs ec2-instance-connect:SendSSHPublicKey, and EC2 Instance Connect on the instance.
 */

import { generateKeyPairSync } from 'node:crypto';
import ssh2, { type ParsedKey } from 'ssh2';
import { type AwsSettings, type Env, openAws } from '../../roads/aws/client.ts';
import { awsFault } from '../../roads/aws/faults.ts';
import { openSshKey } from './openssh-key.ts';
import { strings } from './ssh-bytes.ts';

export interface FreshKeyOptions extends AwsSettings {
  readonly instance: string;
  readonly osUser: string;
  readonly env: Env;
}

/** @throws Fault */
export async function freshKey({ instance, osUser, env, ...settings }: FreshKeyOptions): Promise<ParsedKey> {
  const key = makeKey();
  const doing = {
    doing: `install a key for ${osUser} on ${instance}`,
    action: 'ec2-instance-connect:SendSSHPublicKey',
  };
  using aws = await openAws(settings, env);
  try {
    const { Success } = await aws.connect.sendSSHPublicKey({
      InstanceId: instance,
      InstanceOSUser: osUser,
      SSHPublicKey: `${key.type} ${key.getPublicSSH().toString('base64')} ferry`,
    });
    if (Success !== true) throw new Error('it was not installed');
  } catch (error) {
    throw awsFault(error, doing);
  }
  return key;
}

/** By Node: of the ed25519 keys that ssh2 1.17 makes, it cannot read one in 256 itself. */
function makeKey(): ParsedKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  const seed = Buffer.from(d, 'base64url');
  const point = Buffer.from(x, 'base64url');
  const type = 'ssh-ed25519';
  // RFC 8032: what OpenSSH keeps is the seed with the public key behind it.
  const fields = strings(point, Buffer.concat([seed, point]));
  const key = ssh2.utils.parseKey(openSshKey(type, strings(type, point), fields));
  if (key instanceof Error) throw key;
  return key;
}
