/** HTTP CONNECT (RFC 9110, section 9.3.6), with Basic authentication (RFC 7617) where there is a login. */

import { Fault } from '../sync/errors.ts';
import { type Handshake, notAProxy } from './handshake.ts';
import type { Target } from './proxy.ts';

const MOST_HEAD_BYTES = 64 * 1024;
/** What is shown of the page that explains a refusal. */
const MOST_BODY_BYTES = 2_000;
const MOST_WORDS = 160;

/** @throws Fault `unreachable` | `rejected` */
export async function connectByHttp(handshake: Handshake, target: Target): Promise<void> {
  const { login } = target.proxy;
  const credentials = Buffer.from(`${login?.user}:${login?.password}`).toString('base64');
  handshake.write(
    [
      `CONNECT ${target.where} HTTP/1.1`,
      `Host: ${target.where}`,
      ...(login === undefined ? [] : [`Proxy-Authorization: Basic ${credentials}`]),
      '\r\n',
    ].join('\r\n'),
  );
  for (;;) {
    const head = await handshake.until('\r\n\r\n', MOST_HEAD_BYTES);
    const [, digits, reason = ''] =
      /^HTTP\/1\.\d (\d{3})(?: ([^\r\n]*))?/.exec(head.toString('latin1')) ?? [];
    if (digits === undefined) throw notAProxy(target.name, head);
    const status = Number(digits);
    if (status >= 100 && status < 200) continue;
    if (status >= 200 && status < 300) return;
    throw refused(
      status,
      `${digits} ${reason}`.trim(),
      wordsOf(await handshake.rest(MOST_BODY_BYTES)),
      target,
    );
  }
}

/** A page as text. */
function wordsOf(page: Buffer): string {
  const words = page
    .toString('utf8')
    .replace(/<(style|script|head)\b.*?(<\/\1>|$)/gis, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\p{Cc}|\s/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  return words.length > MOST_WORDS ? `${words.slice(0, MOST_WORDS)}…` : words;
}

function refused(status: number, said: string, body: string, target: Target): Fault {
  const { name, where, host, proxy } = target;
  const more = body === '' ? said : `${said} (${body})`;
  const { login } = proxy;
  if (status === 407 || (status === 401 && login !== undefined)) {
    return new Fault(
      'rejected',
      login === undefined
        ? `${name} asks for a login`
        : `${name} refused the login of ${login.user}: ${said}`,
      {
        code: 'PROXY_LOGIN',
        advice:
          login === undefined
            ? 'Write proxy: http://user:password@host:port, with the password by reference.'
            : 'Wrong user or password; or it wants NTLM or Kerberos, which Ferry does not speak: let it take Basic from this host.',
      },
    );
  }
  if ([401, 403, 405, 451].includes(status)) {
    return new Fault('rejected', `${name} does not let us go to ${where}: ${more}`, {
      code: 'PROXY_FORBIDDEN',
      advice: `Many proxies allow CONNECT to port 443 only: its rules must allow this host to go to ${where}.`,
    });
  }
  if (status === 429 || status >= 500) {
    return new Fault('unreachable', `${name} could not reach ${where}: ${more}`, {
      code: 'PROXY_TARGET',
      advice: `Seen from the proxy: does the name resolve, does the security group of ${host} let it in, does sshd run there?`,
    });
  }
  return new Fault('rejected', `${name} knows no CONNECT: ${more}`, {
    code: 'PROXY_ANSWER',
    advice: 'Is it a proxy at all, and not a web server or load balancer? Correct `proxy` in endpoints.yaml.',
  });
}
