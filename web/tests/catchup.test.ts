import { describe, expect, it } from "vitest";

import { pace } from "../src/live/catchup";

describe("the pace of a player", () => {
  const here = { latency: 0.6, target: 0.6, ahead: 0.5, part: 0.2 };

  it("is that of the source at the target", () => {
    expect(pace(here)).toBe(1);
    expect(pace({ ...here, latency: 0.64 })).toBe(1);
    expect(pace({ ...here, latency: 0.3 })).toBe(1);
  });

  it("is faster the further behind, and never by more than a fifth", () => {
    expect([0.8, 1.2, 3, 60].map((latency) => pace({ ...here, latency }))).toEqual([1.05, 1.1, 1.2, 1.2]);
  });

  it("is never faster when the next part may come too late", () => {
    expect(pace({ ...here, latency: 3, ahead: 0.29 })).toBe(1);
    expect(pace({ ...here, latency: 3, ahead: 0.31 })).toBe(1.2);
  });
});
