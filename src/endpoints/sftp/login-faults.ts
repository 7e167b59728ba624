/** Where a login that did not come about becomes a Fault. Never holds a secret: neither passwords nor keys come here. */

import { Fault } from '../../sync/errors.ts';
import type { ConnectTrouble } from './connect-faults.ts';

export function loginRefused(trouble: ConnectTrouble, said: string): Fault {
  const { name, user, tried, accepts } = trouble;
  const takes = accepts.length === 0 ? '' : `; it takes ${accepts.join(', ')}`;
  return new Fault(
    'rejected',
    `${name} refused to log ${user} in with ${tried.join(', ') || 'nothing'}${takes}`,
    { code: 'LOGIN_REFUSED', cause: said, ...adviceFor(trouble) },
  );
}

interface Diagnosis {
  readonly means?: string;
  readonly advice: string;
}

function adviceFor({ tried, accepts, partial, user, ident }: ConnectTrouble): Diagnosis {
  if (partial) {
    return {
      means:
        'The first step was accepted, but the server asks for a second one (two-factor login), which an unattended program cannot give.',
      advice:
        'Have the server let this user in by key alone (AuthenticationMethods publickey in a Match block).',
    };
  }
  const key = tried.some((way) => way.startsWith('key') || way.startsWith('agent'));
  const takesPassword = accepts.some((way) => way === 'password' || way === 'keyboard-interactive');
  if (!key && accepts.length > 0 && !takesPassword) {
    return { means: 'The server takes keys only.', advice: 'Set key in endpoints.yaml.' };
  }
  if (!key) {
    return {
      means: 'Wrong user or password, or the account is locked.',
      advice: 'Try the same user and password by hand: sftp USER@HOST.',
    };
  }
  if (tried.some((way) => way.includes('not its certificate'))) {
    return {
      means:
        'Ferry shows the plain key only, and this server may trust nothing but certificates (TrustedUserCAKeys).',
      advice: "Add the public key to that user's ~/.ssh/authorized_keys as well.",
    };
  }
  const rsa = tried.some((way) => way.includes('ssh-rsa'));
  return {
    means: `${imageUser(user, ident)}the public key is not in that user's ~/.ssh/authorized_keys (or there with a from="…" that leaves this host out)${rsa ? RSA_REFUSED : ''}.`,
    advice: `Correct user, or add the public key there (file mode 600, folder 700); the log of sshd says which it is.${rsa ? ' An ed25519 key avoids trouble with policies.' : ''}`,
  };
}

/** Ferry signs with SHA-2 wherever the server says that it takes it, so that SHA-1 alone is never the reason. */
const RSA_REFUSED =
  '; or its policy takes no such RSA key (RHEL 9: none that signs with SHA-1, none below 2048 bits)';

/** Users of the images that one meets, by what their sshd says of itself. */
const IMAGES: readonly (readonly [ident: RegExp, image: string, user: string])[] = [
  [/Ubuntu/i, 'An Ubuntu', 'ubuntu'],
  [/Debian/i, 'A Debian', 'admin'],
  [/FreeBSD/i, 'A FreeBSD', 'ec2-user'],
  [/Windows/i, 'A Windows', 'Administrator'],
];

function imageUser(user: string, ident: string): string {
  const found = IMAGES.find(([pattern]) => pattern.test(ident));
  if (found === undefined) {
    return `${user} may be the wrong user for the image (ec2-user on Amazon Linux and Red Hat, ubuntu, admin on Debian, rocky); or `;
  }
  const [, image, usual] = found;
  return user === usual
    ? 'Usually '
    : `${image} image on AWS (the server calls itself that) has the user ${usual}, not ${user}; or `;
}

export function passwordExpired({ name, user }: ConnectTrouble): Fault {
  return new Fault('rejected', `${name}: the password of ${user} has expired`, {
    code: 'PASSWORD_EXPIRED',
    advice: 'Log in by hand to set a new one, or better: use a key.',
  });
}

export function loginCut(trouble: ConnectTrouble, said: string): Fault {
  return new Fault('unreachable', `${trouble.name} ended the connection during the login: ${said}`, {
    code: 'LOGIN_CUT',
    means:
      'Too many logins at once (MaxStartups), too many keys in the agent (MaxAuthTries), or the server ended.',
    advice: 'If it happens each time, set key instead of agent; the log of sshd says more.',
  });
}
