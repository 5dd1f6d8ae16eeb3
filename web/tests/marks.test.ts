import { describe, expect, it } from "vitest";

import { dateAt, firstVariant, read } from "../src/live/marks";

const PLAYLIST = `#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="init-1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:00.000Z
#EXTINF:2.000,
a.m4s
#EXTINF:1.500,
b.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-2.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:07.600Z
#EXTINF:2.000,
c.m4s
#EXT-X-ENDLIST
`;
const NOON = Date.parse("2026-11-21T12:00:00Z");

describe("the moment of a picture", () => {
  const marks = read(PLAYLIST);
  it.each([
    [0, 0],
    [1.25, 1_250],
    [2, 2_000],
    [3.4, 3_400],
    // The encoder was away for 4.1 s: the timeline has no hole, the moments jump.
    [3.5, 7_600],
    [5, 9_100],
    [5.5, 9_600],
    // Beyond the last segment, and before the first: no further than they reach.
    [9, 9_600],
    [-1, 0],
  ])("at %d s is that of its segment", (seconds, ms) => {
    expect(dateAt(marks, seconds)! - NOON).toBeCloseTo(ms, 3);
  });

  it("is not known where nothing says", () => {
    expect(dateAt([], 1)).toBeNull();
    expect(dateAt([{ start: 0, duration: 2, programDateTime: null }], 1)).toBeNull();
  });

  it("finds the first media playlist, relative to its own address", () => {
    const master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nsource/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nlow/index.m3u8\n";
    expect(firstVariant(master, "http://x/hls/1/recording/master.m3u8")).toBe("http://x/hls/1/recording/source/index.m3u8");
  });
});
