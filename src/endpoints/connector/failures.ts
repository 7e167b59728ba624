/**
 * What a connector says about one file (FailureCode and FailureMessage of ListFileTransferResults) as a Fault: whether
 * trying again can help, and what to do. AWS publishes no list of the codes, so the words in them decide; what none of
 * them fits is tried again.
 */

import { Fault, type FaultKind } from '../../sync/errors.ts';
import { type FilePath, folderOf, nameOf, printable } from '../../sync/names.ts';
import type { FileResult } from './api.ts';
import { firstLine } from './faults.ts';

interface Meaning {
  readonly says: RegExp;
  readonly kind: FaultKind;
  readonly code: string;
  readonly advice: string;
}

/** The first that fits. Upper case, as the codes are; messages are compared without regard to case. */
const MEANINGS: readonly Meaning[] = [
  {
    says: /HOST[_ ]?KEY/,
    kind: 'rejected',
    code: 'HOST_KEY_CHANGED',
    advice:
      'The connector does not trust the key that the server shows: `ferry trust` shows it, and how it is trusted.',
  },
  {
    says: /AUTH(?!ORIZ)|LOGIN|CREDENTIAL|SECRET|PASSWORD|PRIVATE[_ ]?KEY/,
    kind: 'rejected',
    code: 'LOGIN_REFUSED',
    advice:
      'Is the secret right (Username, and Password or PrivateKey), and may the access role of the connector read it? `ferry check` shows more.',
  },
  {
    says: /S3.*(DENIED|FORBIDDEN|UNAUTHORIZED)|(DENIED|FORBIDDEN|UNAUTHORIZED).*(S3|ASSUME|ACCESS[_ ]?ROLE|KMS)|ASSUME[_ ]?ROLE|ACCESS[_ ]ROLE/,
    kind: 'rejected',
    code: 'ACCESS_ROLE',
    advice:
      'The access role of the connector must be able to read what is staged (s3:GetObject, and kms:Decrypt where it is encrypted with a key of yours).',
  },
  {
    says: /SEND[_ ]FILE[_ ]NOT[_ ]FOUND|NO ?SUCH ?KEY|SPECIFIED KEY|OBJECT[_ ].*(NOT[_ ]FOUND|DOES NOT EXIST)/,
    kind: 'transient',
    code: 'STAGED_GONE',
    advice: 'What was staged is gone from the bucket (a lifecycle rule?); Ferry stages it again.',
  },
  {
    says: /PERMISSION|ACCESS[_ ]?DENIED|FORBIDDEN|UNAUTHORI[SZ]ED/,
    kind: 'permanent',
    code: 'EACCES',
    advice: 'The login may not write there at the partner: have the permissions corrected, then ferry retry.',
  },
  {
    says: /NO[_ ]?SUCH|NOT[_ ]FOUND|DOES NOT EXIST|PATH[_ ]NOT/,
    kind: 'permanent',
    code: 'ENOENT',
    advice: 'A connector makes no folders: have the folder made at the partner, then ferry retry.',
  },
  {
    says: /TOO[_ ]LARGE|SIZE[_ ](LIMIT|EXCEED)|EXCEEDS?[_ ].*SIZE/,
    kind: 'permanent',
    code: 'EFBIG',
    advice: 'A connector takes 150 GiB a file at most: split it.',
  },
  {
    says: /NO[_ ]SPACE|DISK[_ ]FULL|QUOTA/,
    kind: 'transient',
    code: 'ENOSPC',
    advice: 'The partner has to make room; Ferry tries again.',
  },
  {
    says: /CONNECT|TIME[_D ]*OUT|UNREACHABLE|RESET|NETWORK|DNS|EOF|KEX|NEGOTIAT/,
    kind: 'transient',
    code: 'PARTNER_UNREACHABLE',
    advice:
      'The connector could not reach the server of the partner, or lost it; Ferry tries again. `ferry check` tests it.',
  },
];

/** @param path at the partner @param what the connector was to do with it */
export function failureOf(
  name: string,
  path: FilePath,
  { failureCode, failureMessage }: FileResult,
  what = 'send',
): Fault {
  const words = `${failureCode} ${without(path, failureMessage)}`.toUpperCase();
  const said = [failureCode, firstLine(failureMessage)].filter((text) => text !== '').join(': ');
  const meaning = MEANINGS.find(({ says }) => says.test(words));
  const message = `${name}: the connector could not ${what} ${printable(path)}${said === '' ? '' : ` (${said})`}`;
  if (meaning === undefined)
    return new Fault('transient', message, {
      code: failureCode === '' ? 'TRANSFER_FAILED' : failureCode,
      advice: 'Ferry tries again. The log of the connector in CloudWatch (aws/transfer/c-…) tells more.',
    });
  return new Fault(meaning.kind, message, { code: meaning.code, advice: meaning.advice });
}

/** A file may be called secret.csv, and lie in a folder called logins. */
function without(path: FilePath, text: string): string {
  const names = [path, folderOf(path), nameOf(path)].filter((name) => name !== '');
  return names.reduce(
    (rest, name) =>
      rest.replaceAll(new RegExp(`(?<![\\p{L}\\p{N}])${RegExp.escape(name)}(?![\\p{L}\\p{N}])`, 'gu'), ' '),
    text,
  );
}
