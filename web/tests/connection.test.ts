import { beforeEach, describe, expect, it } from "vitest";

import { Connection, type ConnectionState, type Listener } from "../src/live/connection";
import type { Delivery, Gap } from "../src/live/contract";
import { World } from "./world";

const delivery = (prev: number, to: number, backfill = false): Delivery => ({
  prev,
  from: prev + 1,
  to,
  backfill,
  items: [
    {
      type: "comment",
      seq: to,
      at: "",
      comment_id: String(to),
      user: { id: "a", name: "A", picture: null, badges: [] },
      text: "",
      parent_comment_id: null,
      created_at: "",
    },
  ],
});

describe("the connection", () => {
  let world: World;
  let states: ConnectionState[];
  let tos: number[];
  let caught: [number, number][];
  let gaps: Gap[];
  let connection: Connection;

  beforeEach(() => {
    world = new World();
    states = [];
    tos = [];
    caught = [];
    gaps = [];
    const listener: Listener = {
      state: (state) => states.push(state),
      delivery: (each) => tos.push(each.to),
      caughtUp: (away, comments) => caught.push([away, comments]),
      gap: (gap) => gaps.push(gap),
      event: () => undefined,
    };
    connection = new Connection((last) => (last === null ? "/events" : `/events?last_event_id=${last}`), world, listener);
    connection.start();
    world.source.onopen?.();
    world.source.send("comments", delivery(0, 10, true));
  });

  it("begins without a position and goes live", () => {
    expect(world.source.url).toBe("/events");
    expect(states).toEqual(["connecting", "live"]);
    expect(tos).toEqual([10]);
  });

  it("resumes after a loss from the last position, and says what it caught up with", () => {
    world.source.onerror?.();
    expect(states.at(-1)).toBe("offline");
    expect(world.sources[0]!.closed).toBe(true);
    world.advance(1_000);
    expect(world.source.url).toBe("/events?last_event_id=10");
    world.source.onopen?.();
    expect(states.at(-1)).toBe("catching-up");
    world.source.send("comments", delivery(10, 11));
    world.source.send("comments", delivery(11, 12));
    world.advance(300);
    expect(states.at(-1)).toBe("live");
    expect(caught).toEqual([[1_300, 2]]);
    expect(tos).toEqual([10, 11, 12]);
  });

  it("is live again even when nothing was missed", () => {
    world.source.onerror?.();
    world.advance(1_000);
    world.source.onopen?.();
    world.advance(1_500);
    expect(states.at(-1)).toBe("live");
    expect(caught).toEqual([[2_500, 0]]);
  });

  it("waits longer each time while nothing answers", () => {
    world.source.onerror?.();
    const opened: number[] = [];
    for (let tries = 0; tries < 4; tries += 1) {
      const before = world.sources.length;
      while (world.sources.length === before) world.advance(500);
      opened.push(world.time);
      world.source.onerror?.();
    }
    expect(opened.map((at, index) => at - (opened[index - 1] ?? 0))).toEqual([1_000, 2_000, 4_000, 8_000]);
  });

  it("does not wait once the network is back", () => {
    connection.networkLost();
    world.advance(100);
    connection.hurry();
    expect(world.sources.length).toBe(2);
    expect(states.at(-1)).toBe("connecting");
  });

  it("ignores what it has seen", () => {
    world.source.send("comments", delivery(5, 10));
    expect(tos).toEqual([10]);
    expect(connection.repeats).toBe(1);
    expect(connection.chain.intact).toBe(true);
  });

  it("notices a broken chain and asks again from the last certain position", () => {
    world.source.send("comments", delivery(12, 15));
    expect(tos).toEqual([10]);
    expect(connection.chain.intact).toBe(false);
    world.advance(1_000);
    expect(world.source.url).toBe("/events?last_event_id=10");
  });

  it("goes on at the end of a gap that the server told", () => {
    world.source.send("gap", { from: 11, to: 20, reason: "expired" });
    world.source.send("comments", delivery(20, 25));
    expect(gaps).toEqual([{ from: 11, to: 20, reason: "expired" }]);
    expect(tos).toEqual([10, 25]);
    expect(connection.chain.intact).toBe(true);
  });

  it("comes back later when the gateway is busy", () => {
    world.source.send("busy", {});
    expect(states.at(-1)).toBe("offline");
    world.advance(5_000);
    expect(world.sources.length).toBe(2);
  });

  it("gives up on a connection that never opens", () => {
    world.source.onerror?.();
    world.advance(1_000);
    world.advance(15_000);
    expect(states.at(-1)).toBe("offline");
  });

  it("hears nothing of a source it has left", () => {
    const old = world.source;
    old.onerror?.();
    old.send("comments", delivery(10, 11));
    expect(tos).toEqual([10]);
  });

  it("stays closed", () => {
    connection.close();
    world.advance(60_000);
    connection.hurry();
    expect(world.sources.length).toBe(1);
  });
});
