import { describe, expect, it } from "vitest";

import { Margin, pace } from "../src/live/catchup";

describe("the pace of a player", () => {
  const here = { latency: 0.6, target: 0.6, ahead: 0.5, part: 0.2 };

  it("is that of the source at the target", () => {
    expect(pace(here)).toBe(1);
    expect(pace({ ...here, latency: 0.64 })).toBe(1);
    expect(pace({ ...here, latency: 0.3 })).toBe(1);
  });

  it("is faster the further behind, and never by more than a fifth", () => {
    expect([0.8, 1.2, 3, 60].map((latency) => pace({ ...here, latency, ahead: latency - 0.1 }))).toEqual([1.05, 1.1, 1.2, 1.2]);
  });

  it("is never faster when the next part may come too late", () => {
    expect(pace({ ...here, latency: 3, ahead: 0.29 })).toBe(1);
    expect([0.31, 0.51, 0.81].map((ahead) => pace({ ...here, latency: 3, ahead }))).toEqual([1.05, 1.1, 1.2]);
  });
});

describe("a player that is about to run dry", () => {
  const here = { latency: 0.6, target: 0.6, part: 0.2 };

  it("plays slower the less there is, wherever it is", () => {
    const at = (ahead: number, latency = 0.6) => pace({ ...here, ahead, latency });
    expect([0.3, 0.23, 0.15, 0.05].map((ahead) => at(ahead))).toEqual([1, 0.85, 0.7, 0.5]);
    expect(at(0.15, 3)).toBe(0.7);
  });

  it("consumes no more than a line brings that is 15 % too narrow", () => {
    let [ahead, slowest] = [0.4, 1];
    for (let second = 0; second < 10; second += 0.1) {
      const rate = pace({ ...here, ahead, latency: 1 - ahead });
      ahead += 0.1 * (0.85 - rate);
      slowest = Math.min(slowest, rate);
    }
    expect(ahead).toBeGreaterThan(0.1);
    expect(slowest).toBe(0.85);
  });
});

describe("the margin of a line", () => {
  const low = { ahead: 0.1, part: 0.2 };
  const full = { ahead: 0.5, part: 0.2 };

  it("grows once a second while the buffer nearly runs dry, up to a bound", () => {
    const margin = new Margin();
    const seen = [];
    for (let now = 100; now < 107; now += 0.1) {
      margin.note(low, true, now);
      seen.push(margin.seconds);
    }
    expect(seen[0]).toBeCloseTo(0.2);
    expect(seen[9]).toBeCloseTo(0.2);
    expect(seen[15]).toBeCloseTo(0.4);
    expect(seen.at(-1)).toBe(0.85);
  });

  it("learns nothing from an outage but what its beginning costs", () => {
    const margin = new Margin();
    margin.note(low, true, 100);
    for (let now = 100.1; now < 104; now += 0.1) margin.note({ ahead: 0, part: 0.2 }, false, now);
    expect(margin.seconds).toBeCloseTo(0.2);
  });

  it("goes back slowly, and only to nothing", () => {
    const margin = new Margin();
    margin.note(low, true, 100);
    margin.note(full, true, 104);
    expect(margin.seconds).toBeCloseTo(0.2);
    margin.note(full, true, 105.1);
    expect(margin.seconds).toBeCloseTo(0.15);
    for (let now = 106; now < 140; now += 1) margin.note(full, true, now);
    expect(margin.seconds).toBe(0);
  });
});
