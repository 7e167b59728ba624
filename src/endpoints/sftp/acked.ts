/** Which bytes of a file the server has confirmed: in all, and up to the first gap. */

export interface Segment {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

interface Tracked extends Segment {
  done: boolean;
}

export class Acked {
  /** All before this are confirmed: the only safe point to go on from. */
  contiguous: number;
  /** Confirmed in all, gaps left out. */
  total: number;
  readonly #open: Tracked[] = [];

  constructor(start: number) {
    this.contiguous = start;
    this.total = start;
  }

  get complete(): boolean {
    return this.#open.length === 0;
  }

  /** Segments are sent in order, without gaps. Call what it returns once, when that one is confirmed. */
  sent(segment: Segment): () => void {
    const tracked: Tracked = { ...segment, done: false };
    this.#open.push(tracked);
    return () => {
      tracked.done = true;
      this.total += tracked.end - tracked.start;
      for (let first = this.#open[0]; first?.done; first = this.#open[0]) {
        this.contiguous = first.end;
        this.#open.shift();
      }
    };
  }
}
