/** What a run did for one job. */

export class Tally {
  readonly job: string;
  files = 0;
  /** Deliveries that failed, now or in an earlier run, and wait for a person. */
  failed = 0;
  #failedNow = 0;
  bytes = 0;
  /** Folders and entries that could not be looked at. */
  unseen = 0;
  #skipped = 0;
  #waiting = 0;

  constructor(job: string) {
    this.job = job;
  }

  /** Left on purpose, or because it is not complete. */
  get skipped(): number {
    return this.#skipped + this.unseen + this.#waiting;
  }

  delivered(bytes: number): void {
    this.files += 1;
    this.bytes += bytes;
  }

  fail(): void {
    this.#failedNow += 1;
  }

  /** What stands failed at the end: a script must not take silence about an old failure for success. */
  standing(failed: number): void {
    this.failed = failed;
  }

  get failedBefore(): number {
    return Math.max(0, this.failed - this.#failedNow);
  }

  skip(): void {
    this.#skipped += 1;
  }

  /** Files that were still changing when the run gave up waiting for them. */
  left(files: number): void {
    this.#waiting = files;
  }

  /** The fixed shape of `run --json`. */
  asJson(seconds: number) {
    return {
      job: this.job,
      delivered: this.files,
      failed: this.failed,
      skipped: this.skipped,
      bytes: this.bytes,
      seconds: Math.round(seconds * 1000) / 1000,
    };
  }
}
