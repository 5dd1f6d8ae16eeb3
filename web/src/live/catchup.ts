/** What of a player decides its pace. */
export interface Pace {
  /** Seconds behind the live edge, and how many it should be. */
  latency: number;
  target: number;
  /** Seconds that are buffered ahead, and how long a part is. */
  ahead: number;
  part: number;
}

/**
 * How fast to play: faster while behind the target and not about to run dry. hls.js does this by itself only while more than a
 * second is buffered, which leaves everybody a second behind; one part and a half is enough, for the next one is on its way.
 *
 * And slower while it is about to run dry: over a line that has become narrower than the picture, 0.4 s of buffer last for two
 * seconds at full speed, which is how long hls.js takes to notice it, to finish its segment and to change to another quality.
 */
export function pace({ latency, target, ahead, part }: Pace): number {
  const parts = ahead / part;
  if (parts < 1.2) return parts < 0.4 ? 0.5 : parts < 0.8 ? 0.7 : 0.85;
  const behind = latency - target;
  if (behind <= 0.05 || parts < 1.5) return 1;
  // Nobody hears a twentieth. Far behind, after an outage, it has to go faster; but not where it is behind because of the line.
  if (behind > 1 && parts > 4) return 1.2;
  return behind > 0.3 && parts > 2.5 ? 1.1 : 1.05;
}

/** A step of more latency, and the most of it: with 0.85 s a line may be dead for a second. */
const STEP_S = 0.2;
const MOST_S = 0.85;
/** Seconds between two steps up, and how long all has to be well before a step down, of so much. */
const UP_S = 1;
const WELL_S = 5;
const BACK_S = 0.05;

/** The latency that a line needs beyond what is asked for: up at once when the buffer nearly ran dry, and slowly back. */
export class Margin {
  seconds = 0;
  #changed = -Infinity;

  /** Note at time `now`, in seconds, what is buffered. While nothing plays there is nothing to learn: that is an outage. */
  note({ ahead, part }: Pick<Pace, "ahead" | "part">, playing: boolean, now: number): void {
    if (playing && ahead < 0.8 * part) {
      if (now - this.#changed < UP_S && this.seconds > 0) return;
      this.seconds = Math.min(MOST_S, this.seconds + STEP_S);
      this.#changed = now;
    } else if (now - this.#changed >= WELL_S) {
      this.seconds = Math.max(0, this.seconds - BACK_S);
      this.#changed = now;
    }
  }
}
