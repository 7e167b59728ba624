/** Settings of an ssh_config that Ferry does not follow, and that make a connection mean something else: to be told. */

import type { Statement } from './ssh-config-file.ts';

interface Note {
  /** Values that are worth a word; default: all but `none`. */
  readonly when?: RegExp;
  readonly why: string;
}

const LISTS: Note = { why: 'Ferry negotiates from its own list' };

const NOTES: Readonly<Record<string, Note>> = {
  bindinterface: { why: 'Ferry binds to addresses only: write bindAddress' },
  canonicalizehostname: { when: /^(yes|always)$/i, why: 'Ferry takes names as they are' },
  certificatefile: { why: 'Ferry logs in with the plain key' },
  hostbasedauthentication: { when: /^yes$/i, why: 'Ferry logs in by key, agent or password' },
  hostkeyalgorithms: LISTS,
  kexalgorithms: LISTS,
  knownhostscommand: { why: 'Ferry runs no command for host keys: pin them' },
  macs: LISTS,
  nohostauthenticationforlocalhost: { when: /^yes$/i, why: 'Ferry checks host keys always' },
  pkcs11provider: { why: 'Ferry takes keys from files and agents' },
  preferredauthentications: {
    when: /^(?!.*publickey)/i,
    why: 'Ferry tries keys first, then an agent, then a password',
  },
  pubkeyacceptedalgorithms: LISTS,
  pubkeyacceptedkeytypes: LISTS,
  pubkeyauthentication: { when: /^no$/i, why: 'Ferry tries the keys that it is given' },
  revokedhostkeys: { why: 'Ferry knows revoked keys by @revoked in known_hosts only' },
  securitykeyprovider: { when: /^(?!internal$)/i, why: 'Ferry uses no security keys' },
  stricthostkeychecking: { when: /^(no|off|accept-new)$/i, why: 'Ferry pins host keys always' },
  verifyhostkeydns: { when: /^yes$/i, why: 'Ferry trusts pinned host keys only' },
};

/** What to say of a statement; undefined where there is nothing to. */
export function noteOn({ keyword, rest }: Statement): string | undefined {
  const note = NOTES[keyword];
  if (note === undefined || !(note.when ?? /^(?!none$)/i).test(rest)) return undefined;
  return note.why;
}
