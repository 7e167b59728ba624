/** An answer of Transfer Family's API that is an error, as AWS JSON 1.1 carries it. */

export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly fields: Readonly<Record<string, string>>;

  constructor(code: string, message: string, fields: Readonly<Record<string, string>> = {}, status = 400) {
    super(message);
    this.code = code;
    this.fields = fields;
    this.status = status;
  }

  get body(): string {
    return JSON.stringify({ __type: this.code, Message: this.message, ...this.fields });
  }
}

export function throttled(seconds = 1): Refusal {
  return new Refusal('ThrottlingException', 'Rate exceeded', { RetryAfterSeconds: String(seconds) });
}
