/** Nothing was answered: something is missing here, or the connection failed. */

import { isNetworkTrouble } from './answer.ts';
import { CREDENTIALS, firstLine, hostOf, type Rule } from './fault-rule.ts';

const PROTOCOL = 'Is endpointUrl right: http:// or https://, and the port?';

export const UNANSWERED: readonly Rule[] = [
  {
    codes: /CredentialsProviderError|TokenProviderError|CredentialsError/,
    kind: 'rejected',
    code: 'NO_CREDENTIALS',
    why: ({ answer, where: { profile } }) =>
      `there are no AWS credentials${profile === undefined ? '' : ` in profile ${profile}`} (${firstLine(answer.message)})`,
    advice: CREDENTIALS,
  },
  {
    codes: /^$/,
    when: ({ message }) => /Region is missing/i.test(message),
    kind: 'rejected',
    code: 'NO_REGION',
    why: () => 'no region is set',
    advice: 'Set region in endpoints.yaml, or AWS_REGION, or region in the profile.',
  },
  {
    codes: /^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/,
    kind: 'rejected',
    code: 'NO_TLS',
    why: (of) => `${hostOf(of)} does not speak TLS on that port`,
    advice: PROTOCOL,
  },
  {
    codes: /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|ERR_TLS_|ERR_SSL_)/,
    kind: 'rejected',
    code: 'TLS_CERTIFICATE',
    why: (of) => `the certificate of ${hostOf(of)} is not accepted: ${firstLine(of.answer.message)}`,
    advice:
      'A private CA is made known by NODE_EXTRA_CA_CERTS=/path/to/ca.pem in the environment of Ferry; at AWS itself, something on the way opens TLS.',
  },
  {
    codes: /^HPE_/,
    kind: 'rejected',
    code: 'NO_HTTP',
    why: (of) => `${hostOf(of)} does not answer with HTTP (${firstLine(of.answer.message)})`,
    advice: PROTOCOL,
  },
  {
    codes: /^(ENOTFOUND|EAI_AGAIN)$/,
    kind: 'unreachable',
    why: (of) => `${hostOf(of)} does not resolve`,
    advice: ({ where }) =>
      'Is the region right, and does this host have DNS? From a network without internet, S3 is reached through a gateway or ' +
      `interface endpoint.${where.bucket.includes('.') ? ' A bucket with dots in its name needs forcePathStyle: true.' : ''}`,
  },
  {
    codes: /^(TimeoutError|ETIMEDOUT)$/,
    kind: 'unreachable',
    code: 'ETIMEDOUT',
    why: (of) => `${hostOf(of)} gave no sign of life in time`,
    advice:
      'A firewall that drops in silence, or no route: from a private subnet, S3 needs a gateway or interface endpoint.',
  },
  {
    codes: /^$/,
    when: isNetworkTrouble,
    kind: 'unreachable',
    why: (of) => `the connection to ${hostOf(of)} failed: ${firstLine(of.answer.message)}`,
  },
];
