/** A proxy as it is written in the configuration: `socks5://user:password@host:port` or `http://…`. Loads nothing. */

export interface ProxyAddress {
  readonly scheme: 'socks5' | 'http';
  readonly host: string;
  readonly port: number;
  /** With a password, which may be empty. */
  readonly login?: { readonly user: string; readonly password: string };
}

const PORTS: Readonly<Record<ProxyAddress['scheme'], number>> = { socks5: 1080, http: 3128 };

/**
 * `user:password@` may be percent-encoded where it must be; an `@`, `:` or `/` in the password need not be.
 * @returns what is wrong, in words that hold nothing of the text
 */
export function parseProxy(text: string): ProxyAddress | string {
  const [, name = '', userInfo, host = '', digits = ''] =
    /^([a-z0-9+.-]+):\/\/(?:(.*)@)?(\[[0-9a-fA-F:.]+\]|[^\s:/?#@[\]]+)(?::(\d+))?\/?$/s.exec(text) ?? [];
  const scheme = name === 'socks5h' ? 'socks5' : name;
  if (scheme === 'socks4' || scheme === 'https') return `a proxy cannot be spoken to by ${scheme}`;
  if (scheme !== 'socks5' && scheme !== 'http')
    return 'a proxy is written as socks5://host:1080 or http://host:3128';
  const port = digits === '' ? PORTS[scheme] : Number(digits);
  if (port < 1 || port > 65_535) return 'the port of the proxy must be between 1 and 65535';
  const bare = { scheme, host: host.replace(/^\[|\]$/g, ''), port } as const;
  if (userInfo === undefined) return bare;
  const [user = '', ...rest] = userInfo.split(':');
  const login = { user: decoded(user), password: decoded(rest.join(':')) };
  if (login.user === '') return 'before the @ of a proxy stand user:password';
  if (scheme === 'http' && login.user.includes(':')) return 'the user of a proxy cannot hold a colon';
  if (Math.max(Buffer.byteLength(login.user), Buffer.byteLength(login.password)) > 255)
    return 'the user and the password of a proxy have 255 bytes at most';
  return { ...bare, login };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
