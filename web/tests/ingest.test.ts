import { expect, test } from "vitest";

import type { StreamIngest } from "../src/generated";
import { summary } from "../src/live/ingest";

const OBS: StreamIngest = {
  at: "2026-11-21T04:35:54.123Z",
  state: "publishing",
  encoder: "obs-output module",
  transport: "rtmps",
  codecs: "avc1.64001f,mp4a.40.2",
  width: 1280,
  height: 720,
  frame_rate: 29.97,
  bit_rate: 4_100_000,
  warnings: [],
};

test("what is known of an encoder is one line", () => {
  expect(summary(OBS)).toBe(
    "Your encoder: obs-output module · 1280×720 · 29.97 pictures per second · 4.1 Mbit/s · encrypted",
  );
});

test("what is not known yet is left out", () => {
  const fresh = { at: OBS.at, state: "publishing", warnings: [] } as unknown as StreamIngest;
  expect(summary(fresh)).toBe("Your encoder is connected.");
  expect(summary({ ...OBS, state: "away" })).toBe("Your encoder is not connected.");
});
