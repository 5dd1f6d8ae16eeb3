/** Where on a recording's timeline which moment is: each segment says (EXT-X-PROGRAM-DATE-TIME). hls.js's fragments are marks. */

export interface Mark {
  /** Seconds on the player's timeline. */
  start: number;
  duration: number;
  /** Milliseconds since the epoch. */
  programDateTime: number | null;
}

/**
 * The moment that is shown at `seconds`, in ms since the epoch; null where nothing says. By segment, never by subtraction: an
 * encoder that was away leaves no hole on the timeline, while the moments jump.
 */
export function dateAt(marks: readonly Mark[], seconds: number): number | null {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (marks[middle]!.start <= seconds) low = middle + 1;
    else high = middle;
  }
  const mark = marks[Math.max(0, low - 1)];
  if (mark === undefined || mark.programDateTime === null) return null;
  return mark.programDateTime + 1000 * Math.min(Math.max(0, seconds - mark.start), mark.duration);
}

/** The marks of a media playlist, for a player that does not tell (the browser's own). */
export function read(playlist: string): Mark[] {
  const marks: Mark[] = [];
  let start = 0;
  let duration = 0;
  let date: number | null = null;
  for (const line of playlist.split("\n")) {
    const [tag, value = ""] = [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)];
    if (tag === "#EXTINF") duration = parseFloat(value);
    else if (tag === "#EXT-X-PROGRAM-DATE-TIME") date = Date.parse(value.trim());
    else if (line.trim() !== "" && !line.startsWith("#")) {
      marks.push({ start, duration, programDateTime: date });
      start += duration;
      // A segment without a date of its own goes on where the one before it ended.
      if (date !== null) date += duration * 1000;
    }
  }
  return marks;
}

/** The first media playlist that a multivariant playlist names. */
export function firstVariant(master: string, url: string): string | null {
  const line = master.split("\n").find((each) => each.trim() !== "" && !each.startsWith("#"));
  return line === undefined ? null : new URL(line.trim(), url).href;
}
