/**
 * How a processor tells BullMQ what becomes of an entry. BullMQ goes by the name of what is thrown as well as by its class
 * (`Worker.handleFailed`, `Job.shouldRetryJob`), so that these need not load it.
 */

/** The entry is in the delayed set already; no try was made. */
export class Postponed extends Error {
  override readonly name = 'DelayedError';
}

/** Shown as failed; not tried again. */
export class Buried extends Error {
  override readonly name = 'UnrecoverableError';

  constructor(message: string) {
    super(message);
    withoutStack(this);
  }
}

/** A failed try; the next one comes after `afterMs`. */
export class TriedAgain extends Error {
  override readonly name = 'TriedAgain';
  readonly afterMs: number;

  constructor(message: string, afterMs: number) {
    super(message);
    this.afterMs = afterMs;
    withoutStack(this);
  }
}

/** BullMQ keeps the stack with the entry, and this one would only ever point here. */
function withoutStack(error: Error): void {
  error.stack = error.message;
}
