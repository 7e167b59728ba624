/** What went wrong with a request, and the form in which the tables of faults say what it means. */

import type { FaultKind } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { Answer } from './answer.ts';

/** Where a request went. */
export interface Where {
  /** The endpoint's name. */
  readonly name: string;
  readonly bucket: string;
  /** That the settings or AWS_PROFILE name. */
  readonly profile: string | undefined;
  /** Where requests go, as far as it is known by now: `s3.ap-northeast-1.amazonaws.com`. */
  readonly host: string | undefined;
}

/** What was asked. */
export interface Doing {
  /** e.g. `write`, `list` */
  readonly verb: string;
  /** The IAM action that allows it, for a refusal that does not say. */
  readonly action: string;
  /** Undefined for the bucket as a whole. */
  readonly path?: FilePath;
  /** It is about a multipart upload, which may be gone. */
  readonly isOfUpload?: boolean;
}

export interface Case {
  readonly answer: Answer;
  readonly doing: Doing;
  readonly where: Where;
  /** S3's code and the first line of what it says. */
  readonly said: string;
}

/** A case, by its code, and what it means. */
export interface Rule {
  /** Of S3's error codes, or Node's. */
  readonly codes: RegExp;
  /** Besides the codes. */
  readonly when?: (answer: Answer, doing: Doing) => boolean;
  readonly kind: FaultKind;
  /** Ours; default S3's own. */
  readonly code?: string;
  why(of: Case): string;
  readonly advice?: string | ((of: Case) => string);
}

export const CREDENTIALS =
  'For the user that runs Ferry, set AWS_PROFILE (or profile in endpoints.yaml), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ' +
  'or give the instance or container a role; `aws sts get-caller-identity` run as that user must work.';

export function hostOf({ where }: Case): string {
  return where.host ?? 'the server';
}

export function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').slice(0, 500);
}
