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
 */
export function pace({ latency, target, ahead, part }: Pace): number {
  const behind = latency - target;
  if (behind <= 0.05 || ahead < 1.5 * part) return 1;
  // Nobody hears a twentieth. Far behind, after an outage, it has to go faster.
  return behind > 1 ? 1.2 : behind > 0.3 ? 1.1 : 1.05;
}
