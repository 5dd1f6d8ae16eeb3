import { beforeEach, describe, expect, it } from "vitest";

import type { Item } from "../src/live/contract";
import { LEAD_MS, Replay, REST_MS } from "../src/live/replay";
import { World } from "./world";

const NOON = Date.parse("2026-11-21T12:00:00Z");
const at = (ms: number) => new Date(NOON + ms).toISOString();
const said = (seq: number, ms: number): Item => ({
  type: "comment",
  seq,
  comment_id: String(seq),
  user: { id: "ada", name: "Ada", picture: null, badges: [] },
  text: `said ${seq}`,
  parent_comment_id: null,
  created_at: at(ms),
  at: at(ms),
});

describe("the chat of a recording", () => {
  let world: World;
  let date: number | null;
  let rate: number;
  let paused: boolean;
  let shown: string[];
  let hidden: Item[];
  let replay: Replay;
  const asked = () => new URL(world.source.url, "http://x").searchParams;
  const deliver = (prev: number, ...items: Item[]) =>
    world.source.send("comments", { prev, from: prev + 1, to: items.at(-1)?.seq ?? prev, backfill: false, items });
  /** The picture plays on for so long, a picture every 40 ms. */
  const play = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 40) {
      world.advance(40);
      if (date !== null && !paused) date += 40 * rate;
      replay.tick();
    }
  };

  beforeEach(() => {
    [world, date, rate, paused, shown, hidden] = [new World(), NOON, 1, false, [], []];
    const screen = { date: () => date, rate: () => rate, paused: () => paused };
    replay = new Replay("/replay", screen, world, {
      show: (items) => shown.push(...items.map((item) => `${item.type} ${item.seq}`)),
      clear: () => (shown = []),
      hide: (item) => hidden.push(item),
      state: () => {},
    });
  });

  it("waits until the moment is known, then asks a little ahead of it", () => {
    date = null;
    replay.tick();
    expect(world.sources).toHaveLength(0);
    date = NOON;
    replay.tick();
    expect(asked().get("from")).toBe(at(LEAD_MS));
    expect([asked().get("speed"), asked().get("last_event_id")]).toEqual(["1", null]);
    expect(Number(asked().get("backfill"))).toBeGreaterThan(0);
  });

  it("shows an item with the picture of its moment, and not before", () => {
    replay.tick();
    world.source.onopen!();
    deliver(0, said(1, -500), said(2, 400), said(3, 1_000));
    replay.tick();
    expect(shown).toEqual(["comment 1"]);
    play(360);
    expect(shown).toEqual(["comment 1"]);
    play(40);
    expect(shown).toEqual(["comment 1", "comment 2"]);
    paused = true;
    play(5_000);
    expect(shown).toEqual(["comment 1", "comment 2"]);
  });

  it("rests while the picture stands still for long, and goes on after what it has", () => {
    replay.tick();
    world.source.onopen!();
    deliver(0, said(7, 1_000));
    paused = true;
    play(REST_MS);
    expect(world.source.closed).toBe(true);
    expect(world.sources).toHaveLength(1);
    paused = false;
    date = NOON + REST_MS;
    replay.tick();
    expect(asked().get("last_event_id")).toBe("7");
    expect(asked().get("from")).toBe(at(REST_MS + LEAD_MS));
  });

  it("keeps up with a jump of the moments: the encoder was away", () => {
    replay.tick();
    world.source.onopen!();
    deliver(0, said(1, 100), said(2, 30_000));
    date = NOON + 60_000;
    replay.tick();
    // Said during the outage: shown at the jump.
    expect(shown).toEqual(["comment 1", "comment 2"]);
    expect([asked().get("last_event_id"), asked().get("from")]).toEqual(["2", at(60_000 + LEAD_MS)]);
  });

  it("begins anew where the viewer seeks back to", () => {
    replay.tick();
    world.source.onopen!();
    deliver(0, said(1, 100), said(2, 30_000));
    play(200);
    date = NOON - 20_000;
    replay.tick();
    expect(shown).toEqual([]);
    expect([asked().get("last_event_id"), asked().get("from")]).toEqual([null, at(-20_000 + LEAD_MS)]);
  });

  it("begins anew where the viewer seeks far ahead to, and reads nothing of what lies between", () => {
    replay.tick();
    world.source.onopen!();
    deliver(0, said(1, 100));
    date = NOON + 3_600_000;
    replay.tick();
    expect(shown).toEqual([]);
    expect([asked().get("last_event_id"), asked().get("from")]).toEqual([null, at(3_600_000 + LEAD_MS)]);
  });

  it("follows the speed", () => {
    replay.tick();
    world.source.onopen!();
    rate = 2;
    replay.tick();
    expect(asked().get("speed")).toBe("2");
    rate = 100;
    replay.tick();
    expect(asked().get("speed")).toBe("16");
  });

  it("hides what is removed meanwhile, held back or shown", () => {
    replay.tick();
    world.source.onopen!();
    deliver(0, said(1, 100), said(2, 400));
    play(120);
    const removal = { type: "removed", seq: 99, at: at(90_000), comment_id: "2", reason: "author" };
    world.source.send("removed", removal);
    play(400);
    expect(shown).toEqual(["comment 1", "removed 2"]);
    expect(hidden).toEqual([removal]);
  });

  it("does not come back after the end, unless the viewer seeks", () => {
    replay.tick();
    world.source.onopen!();
    deliver(0, said(1, 100));
    world.source.send("end", { last: 1 });
    play(60_000);
    expect(shown).toEqual(["comment 1"]);
    expect([world.sources.length, world.source.closed]).toEqual([1, true]);
    date = NOON;
    replay.tick();
    replay.tick();
    expect(world.sources).toHaveLength(2);
  });
});
