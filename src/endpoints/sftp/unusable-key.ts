/** Why a private key cannot be used: to be read behind "the key FILE of ENDPOINT". Holds nothing of the key itself. */

export type KeyTrouble =
  | 'KEY_DAMAGED'
  | 'KEY_FORMAT'
  | 'KEY_PASSPHRASE'
  | 'KEY_PUBLIC'
  /** A kind of key that no login is made with. */
  | 'KEY_TYPE';

export class UnusableKey extends Error {
  override readonly name = 'UnusableKey';
  readonly code: KeyTrouble;
  readonly advice: string;

  /** @param what `is a public key` */
  constructor(code: KeyTrouble, what: string, advice: string) {
    super(what);
    this.code = code;
    this.advice = advice;
  }
}

export function missingPassphrase(): UnusableKey {
  return new UnusableKey(
    'KEY_PASSPHRASE',
    'is encrypted, and no passphrase is set',
    'Set passphrase in endpoints.yaml, by reference to the environment or to a file.',
  );
}

/** @param byHand the command that tells whether it is the right one */
export function wrongPassphrase(byHand: string): UnusableKey {
  return new UnusableKey(
    'KEY_PASSPHRASE',
    'cannot be decrypted with the passphrase that is set (or is damaged)',
    `Try it by hand: ${byHand}`,
  );
}

const NEW_KEY = 'Make an ed25519 key (ssh-keygen -t ed25519) and put its public half on the server.';

/** @param type as keys name it: `ssh-dss`, `sk-ssh-ed25519@openssh.com` */
export function badType(type: string): UnusableKey {
  if (type.startsWith('sk-')) {
    return new UnusableKey(
      'KEY_TYPE',
      `lies on a security key (${type}), which somebody must touch for each login`,
      `An unattended program needs a key of its own. ${NEW_KEY}`,
    );
  }
  if (/-cert(-v\d+)?@openssh\.com$/.test(type)) {
    return new UnusableKey(
      'KEY_TYPE',
      `holds a certificate (${type}), and Ferry logs in with plain keys only`,
      'Put the plain public key into authorized_keys on the server; puttygen --remove-certificate takes the certificate out of a .ppk.',
    );
  }
  const what = type === 'ssh-dss' ? 'a DSA key, which servers refuse since 2015' : `of type ${type}`;
  const cannot = type === 'ssh-dss' ? '' : ', which Ferry cannot log in with';
  return new UnusableKey('KEY_TYPE', `is ${what}${cannot}`, NEW_KEY);
}
