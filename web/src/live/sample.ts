/** How much of what is said this viewer is shown, while a stream says more than anyone can read. */

/** What is told is summed over so long: deliveries come many times a second, and the figures should stand still. */
export const SPAN_MS = 3_000;

export interface Share {
  shown: number;
  of: number;
}

export class Sample {
  private parts: (Share & { at: number })[] = [];

  take(share: Share, now: number): void {
    this.parts.push({ ...share, at: now });
  }

  /** The sum of the last seconds; null while nothing was left out. */
  told(now: number): Share | null {
    this.parts = this.parts.filter((part) => now - part.at < SPAN_MS);
    const shown = this.parts.reduce((sum, part) => sum + part.shown, 0);
    const of = this.parts.reduce((sum, part) => sum + part.of, 0);
    return shown < of ? { shown, of } : null;
  }
}
