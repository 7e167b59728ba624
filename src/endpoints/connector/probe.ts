/**
 * `ferry check`: tells what the connector is, has AWS test it, and does once what deliveries do, each step with what was
 * seen, until one breaks. Leaves nothing behind.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { DescribedConnector } from '@aws-sdk/client-transfer';
import { asFault, Fault } from '../../sync/errors.ts';
import { type FilePath, joinPath, nameOf, OWN_PREFIX, printable } from '../../sync/names.ts';
import type { CallOptions, ProbeStep, SourceFile } from '../endpoint.ts';
import { patiently } from './api.ts';
import type { Connector } from './connector.ts';
import type { ConnectorEndpoint } from './endpoint.ts';
import { failureOf } from './failures.ts';
import { isTrustable, keyOf } from './hostkeys.ts';
import { tempFolderFor } from './job.ts';
import { remoteFolderOf } from './names.ts';
import { assertUsable, connectionsOf, egressOf } from './words.ts';

const CONTENT = Buffer.from('Written by "ferry check"; it removes this again.\n');
/** A transfer of so little that takes longer waits behind others. */
const PATIENCE_MS = 120_000;

type Seen = Omit<ProbeStep, 'step' | 'ok' | 'ms'>;

interface Trial {
  readonly connector: Connector;
  readonly folder: FilePath;
  readonly signal: AbortSignal;
  described: DescribedConnector;
}

/** Never throws. */
export async function* probe(
  endpoint: ConnectorEndpoint,
  folder: FilePath,
  { signal }: CallOptions,
): AsyncGenerator<ProbeStep> {
  let trial: Trial | undefined;
  for (const [step, look] of STEPS) {
    const sinceMs = performance.now();
    try {
      const known = trial ?? (await patiently(signal, () => begin(endpoint, folder, signal)));
      trial = known;
      const seen = await patiently(signal, () => look(known));
      if (seen !== undefined) yield { step, ok: true, ...seen, ms: performance.now() - sinceMs };
    } catch (error) {
      const { message, advice } = asFault(error, signal);
      const ms = performance.now() - sinceMs;
      yield { step, ok: false, saw: message, ms, ...(advice === undefined ? {} : { advice }) };
      return;
    }
  }
}

async function begin(endpoint: ConnectorEndpoint, folder: FilePath, signal: AbortSignal): Promise<Trial> {
  const connector = await endpoint.open();
  return { connector, folder, signal, described: await connector.api.describe(signal) };
}

const STEPS: readonly (readonly [string, (trial: Trial) => Promise<Seen | undefined>])[] = [
  ['connector', usable],
  ['egress', async ({ described }) => ({ saw: egressOf(described) })],
  ['secret', secret],
  ['host keys', trusted],
  ['connection', tested],
  ['staging', staged],
  ['write', written],
  ['list', listed],
  ['rename', moved],
  ['delete', deleted],
];

async function usable({ connector, described }: Trial): Promise<Seen> {
  assertUsable(connector.name, described);
  const { ConnectorId = '', Status, SecurityPolicyName, AccessRole } = described;
  const policy = SecurityPolicyName === undefined ? '' : `, security policy ${SecurityPolicyName}`;
  const role = AccessRole === undefined ? '' : `, access role ${AccessRole}`;
  return { saw: `${ConnectorId} is ${Status ?? 'there'}, ${connectionsOf(described)}${policy}${role}` };
}

async function secret({ described }: Trial): Promise<Seen> {
  const { UserSecretId } = described.SftpConfig ?? {};
  if (UserSecretId !== undefined) return { saw: `the login is in ${UserSecretId}` };
  throw new Fault('rejected', 'the connector has no secret to log in with', {
    code: 'NO_SECRET',
    advice:
      'Make one in Secrets Manager ({"Username": …, "PrivateKey": …} or Password) and name it: aws transfer update-connector --sftp-config UserSecretId=ARN,…',
  });
}

async function trusted({ connector, described }: Trial): Promise<Seen> {
  const keys = described.SftpConfig?.TrustedHostKeys ?? [];
  const words = keys.map((written) => {
    const key = keyOf(written);
    return key === undefined ? 'one that cannot be read' : `${key.type} ${key.fingerprint}`;
  });
  if (words.length > 0) return { saw: `trusts ${words.join(', ')}` };
  const advice = `ferry trust ${connector.name} shows the key that the server has, and the command that makes the connector trust it.`;
  return { saw: 'trusts no host key yet', warning: true, advice };
}

async function tested({ connector, described, signal }: Trial): Promise<Seen> {
  const { ok, message, hostKey } = await connector.api.test(signal);
  const key = hostKey === undefined ? undefined : keyOf(hostKey);
  const shown = key === undefined ? '' : `; the server shows ${key.type} ${key.fingerprint}`;
  if (ok) return { saw: `${message}${shown}` };
  throw new Fault('unreachable', `TestConnection says: ${message}${shown}`, {
    code: 'TEST_FAILED',
    advice: testAdvice(connector, described, message, key?.type),
  });
}

function testAdvice(
  { name }: Connector,
  described: DescribedConnector,
  message: string,
  keyType = '',
): string {
  if (keyType !== '' && !isTrustable({ type: keyType }))
    return 'Transfer Family trusts RSA and ECDSA keys: the server needs one of these besides its own.';
  if (/host ?key/i.test(message))
    return `ferry trust ${name} shows that key, and the command that makes the connector trust it.`;
  if (/secret/i.test(message))
    return 'Is the secret there, of the form {"Username": …, "Password": …} or {"Username": …, "PrivateKey": …}, and may the access role read it (secretsmanager:GetSecretValue)?';
  if (/auth|credential|password|login|key/i.test(message))
    return 'Do the user and key (or password) of the secret work at the server? Try them with sftp from elsewhere.';
  return described.EgressType === 'VPC_LATTICE'
    ? 'Does the resource configuration name the right address and port, do the security groups of its resource gateway let it out, and those of the server let it in?'
    : 'Does the server let in the addresses of the connector (above), and is its name public? A server without a public address is reached over VPC Lattice.';
}

function trialNames(name: string): { readonly staged: FilePath; readonly name: string } {
  return { staged: joinPath(`${OWN_PREFIX}check-${name}`, `${OWN_PREFIX}check`), name: `${OWN_PREFIX}check` };
}

async function staged({ connector, signal }: Trial): Promise<Seen> {
  const { staging } = connector;
  const path = trialNames(connector.name).staged;
  await staging.put(contentSource(path), path, {
    signal,
    conflict: 'replace',
    verify: 'size',
    token: '0000000000000000',
    preserveMtime: false,
    helpers: [],
    resume: undefined,
    checkpoint: async () => undefined,
    progress: () => undefined,
  });
  return { saw: `a file can be put at ${staging.address(path)}` };
}

function contentSource(path: FilePath): SourceFile {
  return {
    path,
    version: { sizeBytes: CONTENT.length, mtimeMs: 0, tag: '' },
    open: async () => ({
      read: async function* (start, end) {
        if (end > start) yield CONTENT.subarray(start, end);
      },
      readAll: async () => CONTENT,
      recheck: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    }),
  };
}

/** Where the file of the check lies at the partner, first and in the end. */
function placesOf({ connector, folder }: Trial): { readonly remote: FilePath; readonly final: FilePath } {
  const { name } = trialNames(connector.name);
  const final = joinPath(folder, name);
  const temp = tempFolderFor(connector, final);
  // Under another name where the folder is the same.
  const other = joinPath(folder, `${name}-moved`);
  return temp === undefined ? { remote: final, final } : { remote: joinPath(temp, name), final: other };
}

async function written(trial: Trial): Promise<Seen> {
  const { connector, signal } = trial;
  const { api, staging, results } = connector;
  const path = trialNames(connector.name).staged;
  const { remote } = placesOf(trial);
  try {
    const transferId = await api.send([staging.address(path)], remoteFolderOf(remote), signal);
    const untilMs = connector.now() + PATIENCE_MS;
    for (let waitMs = 200; connector.now() < untilMs; waitMs = Math.min(waitMs * 1.5, 5_000)) {
      await sleep(waitMs, undefined, { signal });
      const result = await results.of(transferId, staging.address(path), signal);
      if (result?.status === 'FAILED') throw failureOf(connector.name, remote, result);
      if (result?.status === 'COMPLETED') return { saw: `the connector has sent ${printable(remote)}` };
    }
    throw new Fault(
      'transient',
      `a transfer of ${CONTENT.length} bytes has not ended after ${PATIENCE_MS / 1000} s`,
      {
        code: 'SLOW',
        advice:
          'Many files may be waiting before it; the log of the connector in CloudWatch (aws/transfer/c-…) tells.',
      },
    );
  } finally {
    await staging.remove(path, signal).catch(() => undefined);
  }
}

async function listed(trial: Trial): Promise<Seen> {
  const { connector, signal } = trial;
  const { remote, final } = placesOf(trial);
  const listing = await connector.listings.of(remoteFolderOf(remote) ?? '', connector.now(), signal);
  const seen = listing.files.get(nameOf(remote));
  const shown = printable(remoteFolderOf(remote) ?? '.');
  if (seen === undefined && remote !== final)
    throw new Fault('permanent', `${shown} can be listed, and the file that was sent there is not in it`, {
      code: 'TEMP_GONE',
      advice:
        'Does the server hide names that begin with a dot, or does something clear that folder? remoteTemp names another one.',
    });
  if (seen === undefined)
    return {
      saw: `${shown} can be listed, and the file is not in it any more`,
      warning: true,
      advice: 'Somebody takes files there at once; sizes cannot be compared then.',
    };
  if (seen.sizeBytes !== undefined && seen.sizeBytes !== CONTENT.length)
    throw new Fault('transient', `${printable(remote)} has ${seen.sizeBytes} bytes of ${CONTENT.length}`, {
      code: 'SIZE_MISMATCH',
    });
  return { saw: `${shown} can be listed: ${listing.files.size} files, ${listing.folders.size} folders` };
}

async function moved(trial: Trial): Promise<Seen | undefined> {
  const { connector, signal } = trial;
  const { remote, final } = placesOf(trial);
  if (remote === final) return undefined;
  const before = await connector.listings.of(remoteFolderOf(final) ?? '', connector.now(), signal);
  // What an earlier check could not delete would be in the way.
  if (before.files.has(nameOf(final))) await deleted(trial);
  await connector.api.move(remote, final, signal);
  await gone(trial, remote, 'moved');
  return { saw: `from ${printable(remote)} to ${printable(final)}` };
}

async function deleted(trial: Trial): Promise<Seen> {
  const { connector, signal } = trial;
  const { final } = placesOf(trial);
  if (!final.startsWith('/'))
    return {
      saw: `${printable(final)} stays there: a connector deletes by whole paths alone`,
      warning: true,
      advice: 'Have it deleted at the partner, or write the path of "to" in the job from / on.',
    };
  await connector.api.remove(final, signal);
  await gone(trial, final, 'deleted');
  return { saw: printable(final) };
}

async function gone({ connector, signal }: Trial, path: FilePath, what: string): Promise<void> {
  const untilMs = connector.now() + PATIENCE_MS;
  for (let waitMs = 200; connector.now() < untilMs; waitMs = Math.min(waitMs * 1.5, 5_000)) {
    await sleep(waitMs, undefined, { signal });
    const listing = await connector.listings.of(remoteFolderOf(path) ?? '', connector.now(), signal);
    if (!listing.files.has(nameOf(path))) return;
  }
  throw new Fault('transient', `${printable(path)} was not ${what} within ${PATIENCE_MS / 1000} s`, {
    code: 'EACCES',
    advice: `May the login ${what === 'moved' ? 'rename' : 'delete'} there? Remove the file there by hand.`,
  });
}
