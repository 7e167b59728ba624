/**
 * How to log in: reads the private key, finds the agent, and says in words what is wrong with them.
 *
 * ssh2 takes OpenSSH keys, PEM (PKCS#1, SEC1) and PuTTY version 2 keys of RSA; PKCS#8 is turned into what it takes.
 */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import ssh2, { type AnyAuthMethod, createAgent, type ParsedKey } from 'ssh2';
import { codeOf, Fault, messageOf } from '../../sync/errors.ts';
import type { SftpSettings } from './settings.ts';

export interface Login {
  /** In the order in which they are tried. */
  readonly methods: readonly AnyAuthMethod[];
  /** For messages: `key /keys/app (ssh-ed25519)`, `password`, `agent (2 keys)`. */
  readonly tried: readonly string[];
}

/** @throws Fault `rejected` when what the settings name cannot be used */
export async function loadLogin(
  name: string,
  settings: SftpSettings,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Login> {
  const { user: username, key: file, password, passphrase, agent } = settings;
  const methods: AnyAuthMethod[] = [];
  const tried: string[] = [];
  if (file !== undefined) {
    const key = await readKey(name, file, passphrase);
    methods.push({ type: 'publickey', username, key });
    tried.push(`key ${file} (${key.type})`);
  }
  if (agent !== undefined && agent !== false) {
    const socket = agent === true ? env.SSH_AUTH_SOCK : agent;
    const keys = await agentKeys(name, socket, methods.length > 0 || password !== undefined);
    if (keys !== undefined && socket !== undefined) {
      methods.push({ type: 'agent', username, agent: socket });
      tried.push(`agent (${keys} ${keys === 1 ? 'key' : 'keys'})`);
    }
  }
  if (password !== undefined) {
    methods.push({ type: 'password', username, password });
    methods.push({
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _lang, prompts, answer) => answer(prompts.map(() => password)),
    });
    tried.push('password');
  }
  return { methods, tried };
}

async function readKey(name: string, file: string, passphrase: string | undefined): Promise<ParsedKey> {
  const text = await readFile(file, 'latin1').catch((error: unknown) => {
    const missing = codeOf(error) === 'ENOENT';
    throw new Fault(
      'rejected',
      `the key ${file} of ${name} ${missing ? 'does not exist' : `cannot be read: ${messageOf(error)}`}`,
      {
        code: codeOf(error) ?? 'KEY_FILE',
        cause: error,
        advice: missing
          ? 'Correct `key` in endpoints.yaml; a relative path starts at the folder that holds jobs/.'
          : 'Ferry runs as a user who must be able to read it.',
      },
    );
  });
  const keyFault = (code: string, what: string, advice: string): Fault =>
    new Fault('rejected', `the key ${file} of ${name} ${what}`, { code, advice });

  if (/^PuTTY-User-Key-File-3/.test(text)) {
    throw keyFault(
      'KEY_FORMAT',
      'is a PuTTY key of version 3, which cannot be read yet',
      'Save it as OpenSSH key: puttygen KEY.ppk -O private-openssh -o KEY, or in PuTTYgen: Conversions, Export OpenSSH key.',
    );
  }
  const key = parse(text, passphrase);
  if (key instanceof Error) throw badKey(keyFault, key.message, passphrase);
  if (!key.isPrivateKey()) {
    throw keyFault('KEY_PUBLIC', 'is a public key', 'Name the private one, the file beside it without .pub.');
  }
  return key;
}

function parse(text: string, passphrase: string | undefined): ParsedKey | Error {
  const pem = fromPkcs8(text, passphrase);
  if (pem instanceof Error) return pem;
  const parsed: ParsedKey | readonly ParsedKey[] | Error = ssh2.utils.parseKey(pem, passphrase);
  const [first]: readonly (ParsedKey | Error)[] = [parsed].flat();
  return first ?? new Error('Unsupported key format');
}

/** PKCS#8 as the PEM that ssh2 reads, where its kind of key has one; other text as it is. */
function fromPkcs8(text: string, passphrase: string | undefined): string | Error {
  if (!/^-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----/m.test(text)) return text;
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: text, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    return new Error(codeOf(error) === 'ERR_MISSING_PASSPHRASE' ? 'no passphrase given' : messageOf(error));
  }
  if (key.asymmetricKeyType === 'rsa') return String(key.export({ format: 'pem', type: 'pkcs1' }));
  if (key.asymmetricKeyType === 'ec') return String(key.export({ format: 'pem', type: 'sec1' }));
  return text;
}

function badKey(
  keyFault: (code: string, what: string, advice: string) => Fault,
  said: string,
  passphrase: string | undefined,
): Fault {
  if (/no passphrase given/.test(said)) {
    return keyFault(
      'KEY_PASSPHRASE',
      'is encrypted, and no passphrase is set',
      'Set passphrase in endpoints.yaml, by reference to the environment or to a file.',
    );
  }
  if (
    passphrase !== undefined &&
    /passphrase|integrity check|decrypt|Malformed OpenSSH private key|bad decrypt/i.test(said)
  ) {
    return keyFault(
      'KEY_PASSPHRASE',
      'cannot be decrypted with the passphrase that is set',
      'Try it by hand: ssh-keygen -y -f KEY.',
    );
  }
  return keyFault(
    'KEY_FORMAT',
    `is in a format that cannot be read (${said})`,
    'Turn it into an OpenSSH key: ssh-keygen -p -f KEY (it asks for the passphrase and writes the file anew).',
  );
}

/** How many keys the agent has; undefined where it does not answer and there are other ways to log in. */
async function agentKeys(
  name: string,
  socket: string | undefined,
  optional: boolean,
): Promise<number | undefined> {
  const failed = (what: string, advice: string): undefined => {
    if (optional) return undefined;
    throw new Fault('rejected', `${name} is to log in by an SSH agent, ${what}`, { code: 'AGENT', advice });
  };
  if (socket === undefined) {
    return failed(
      'but SSH_AUTH_SOCK is not set',
      'Start ferry where an agent runs, or set agent to its socket.',
    );
  }
  const keys = await new Promise<number | Error>((resolve) => {
    createAgent(socket).getIdentities((error, found) => resolve(error ?? found?.length ?? 0));
  });
  if (keys instanceof Error)
    return failed(`which does not answer at ${socket}`, 'Is ssh-agent running, as the same user?');
  if (keys === 0) return failed('which holds no keys', 'ssh-add KEY');
  return keys;
}
