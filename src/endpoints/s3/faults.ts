/**
 * The one place where what S3, the SDK and the network say becomes a Fault: whose trouble it is, and what to do.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */

import { Fault } from '../../sync/errors.ts';
import { printable } from '../../sync/names.ts';
import { type Answer, answerOf } from './answer.ts';
import { ANSWERED } from './answered.ts';
import { type Case, type Doing, firstLine, type Rule, type Where } from './fault-rule.ts';
import { UNANSWERED } from './unanswered.ts';

export function s3Fault(error: unknown, doing: Doing, where: Where): Fault {
  if (error instanceof Fault) return error;
  const answer = answerOf(error);
  const message = firstLine(answer.message);
  const of: Case = {
    answer,
    doing,
    where,
    said: message === '' ? answer.code : `${answer.code}: ${message}`,
  };
  const rules = answer.status === undefined ? UNANSWERED : ANSWERED;
  const rule = rules.find(({ codes, when }) => codes.test(answer.code) || when?.(answer, doing) === true);
  const { kind, code, why, advice } = rule ?? otherwise(answer);
  const words = typeof advice === 'function' ? advice(of) : advice;
  const what = doing.path === undefined ? `bucket ${where.bucket}` : printable(doing.path);
  return new Fault(kind, `${where.name}: cannot ${doing.verb} ${what}: ${why(of)}`, {
    code: code ?? answer.code,
    cause: error,
    ...(words === undefined ? {} : { advice: words }),
  });
}

/** What nobody classified is the file's and passing. */
function otherwise({ status }: Answer): Omit<Rule, 'codes'> {
  return {
    kind: 'transient',
    why: ({ said }) => (status === undefined ? said : `S3 answers ${status} (${said})`),
  };
}
