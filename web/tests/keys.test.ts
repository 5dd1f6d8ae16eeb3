import { describe, expect, it } from "vitest";

import { newKey } from "../src/live/keys";

describe("idempotency keys", () => {
  it("are UUIDs of version 7 that say when they were made", () => {
    const at = Date.UTC(2026, 10, 21, 17, 45, 0, 123);
    const key = newKey(at);
    expect(key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(parseInt(key.slice(0, 13).replace("-", ""), 16)).toBe(at);
  });

  it("differ within a millisecond", () => {
    expect(new Set(Array.from({ length: 1000 }, () => newKey(1))).size).toBe(1000);
  });
});
