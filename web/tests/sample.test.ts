import { describe, expect, it } from "vitest";

import { Sample, SPAN_MS } from "../src/live/sample";

describe("what a sampled stream shows", () => {
  it("is summed over the last seconds, and forgotten after them", () => {
    const sample = new Sample();
    sample.take({ shown: 2, of: 80 }, 1_000);
    sample.take({ shown: 3, of: 90 }, 1_500);

    expect(sample.told(1_500)).toEqual({ shown: 5, of: 170 });
    expect(sample.told(1_000 + SPAN_MS)).toEqual({ shown: 3, of: 90 });
    expect(sample.told(1_500 + SPAN_MS)).toBeNull();
  });

  it("is not told while everything is shown", () => {
    const sample = new Sample();

    expect(sample.told(0)).toBeNull();
    sample.take({ shown: 4, of: 4 }, 0);
    expect(sample.told(0)).toBeNull();
  });
});
