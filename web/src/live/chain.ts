/** The proof: each delivery's `prev` is the `to` before it. Anything else is a gap or a repetition, and is noticed. */

import type { Delivery, Gap } from "./contract";

export type Verdict = "follows" | "repeats" | "breaks";

export class Chain {
  /** The position everything up to which was seen; null before the first delivery. */
  last: number | null = null;
  /** Ranges the server said it cannot deliver. */
  gaps: Gap[] = [];
  breaks = 0;

  /** Judge a delivery; only one that follows moves the position. */
  take(delivery: Delivery): Verdict {
    if (this.last === null || delivery.prev === this.last) {
      this.last = delivery.to;
      return "follows";
    }
    if (delivery.to <= this.last) return "repeats";
    this.breaks += 1;
    return "breaks";
  }

  /** The server cannot deliver a range: what follows continues at its end. */
  skip(gap: Gap): void {
    this.gaps.push(gap);
    this.last = gap.to;
  }

  get intact(): boolean {
    return this.breaks === 0;
  }
}
