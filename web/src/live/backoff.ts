/** When to try again: 1, 2, 4 ... 30 s with jitter, back to 1 s after ten stable seconds. */

export const FIRST_MS = 1_000;
export const LAST_MS = 30_000;
export const STABLE_MS = 10_000;

export class Backoff {
  private next = FIRST_MS;
  private openedAt: number | null = null;

  constructor(
    private readonly now: () => number,
    private readonly random: () => number = Math.random,
  ) {}

  /** The connection is open. */
  opened(): void {
    this.openedAt = this.now();
  }

  /** The connection is lost: how long to wait, in milliseconds. `atLeast` is what the server asked for. */
  lost(atLeast = 0): number {
    if (this.openedAt !== null && this.now() - this.openedAt >= STABLE_MS) this.next = FIRST_MS;
    this.openedAt = null;
    const wait = this.next;
    this.next = Math.min(this.next * 2, LAST_MS);
    // Down to half, never up: nobody waits for longer than they are told.
    return Math.max(atLeast, Math.round(wait * (0.5 + this.random() / 2)));
  }

  reset(): void {
    this.next = FIRST_MS;
  }
}
