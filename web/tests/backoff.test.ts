import { describe, expect, it } from "vitest";

import { Backoff } from "../src/live/backoff";

describe("backoff", () => {
  it("doubles from 1 s to 30 s", () => {
    const backoff = new Backoff(() => 0, () => 1);
    expect(Array.from({ length: 7 }, () => backoff.lost())).toEqual([1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  });

  it("is back at 1 s after ten stable seconds, and not before", () => {
    let now = 0;
    const backoff = new Backoff(() => now, () => 1);
    backoff.lost();
    backoff.lost();
    backoff.opened();
    now += 9_999;
    expect(backoff.lost()).toBe(4000);
    backoff.opened();
    now += 10_000;
    expect(backoff.lost()).toBe(1000);
  });

  it("jitters downwards, to no less than half", () => {
    expect(new Backoff(() => 0, () => 0).lost()).toBe(500);
  });

  it("waits for as long as the server asked", () => {
    expect(new Backoff(() => 0, () => 0).lost(3_000)).toBe(3_000);
  });
});
