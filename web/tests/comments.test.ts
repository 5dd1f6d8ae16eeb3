import { describe, expect, it } from "vitest";

import { dropped, EMPTY, KEPT, posted, refused, sending, take } from "../src/live/comments";
import type { Item, PostedComment } from "../src/live/contract";

const ada = { id: "ada", name: "Ada", picture: null, badges: [] };
const at = "2026-11-21T04:35:54.123Z";
const comment = (seq: number, text = `c${seq}`): Item => ({
  type: "comment",
  seq,
  at,
  comment_id: String(seq),
  user: ada,
  text,
  parent_comment_id: null,
  created_at: at,
});
const mine = (seq: number) => ({ ...comment(seq), status: "visible" }) as PostedComment;
const seqs = (list: typeof EMPTY) => list.shown.map((each) => each.seq);

describe("the list of comments", () => {
  it("keeps log order, each comment once", () => {
    const list = take(take(EMPTY, [comment(1), comment(3)]), [comment(3), comment(4)]);
    expect(seqs(list)).toEqual([1, 3, 4]);
  });

  it("puts the own comment where the log has it, whichever answer comes first", () => {
    const before = posted(sending(EMPTY, "k", "c2", null), "k", mine(2));
    expect(seqs(take(before, [comment(1), comment(2), comment(3)]))).toEqual([1, 2, 3]);
    const after = posted(sending(take(EMPTY, [comment(1), comment(2), comment(3)]), "k", "c2", null), "k", mine(2));
    expect(seqs(after)).toEqual([1, 2, 3]);
    expect(after.pending).toEqual([]);
  });

  it("hides a removed comment and keeps its place", () => {
    const list = take(EMPTY, [comment(1), comment(2), { type: "removed", seq: 3, at, comment_id: "1", reason: "author" }]);
    expect(list.shown.map((each) => [each.seq, each.removed, each.text])).toEqual([
      [1, true, ""],
      [2, false, "c2"],
    ]);
  });

  it("shows a placeholder for a comment that was removed before it was seen", () => {
    const list = take(EMPTY, [{ type: "removed", seq: 1, at, comment_id: "1", reason: "moderator" }, comment(2)]);
    expect(list.shown.map((each) => [each.seq, each.removed])).toEqual([
      [1, true],
      [2, false],
    ]);
  });

  it("restores a comment with its text", () => {
    const removed = take(EMPTY, [comment(1), { type: "removed", seq: 2, at, comment_id: "1", reason: "moderator" }]);
    const { seq: _seq, at: _at, type: _type, ...full } = mine(1);
    const list = take(removed, [{ type: "restored", seq: 3, at, comment: full }]);
    expect(list.shown.map((each) => [each.seq, each.removed, each.text])).toEqual([[1, false, "c1"]]);
  });

  it("hides all of a purged user's comments before the purge", () => {
    const list = take(EMPTY, [comment(1), { type: "purged", seq: 2, at, user_id: "ada" }, comment(3)]);
    expect(list.shown.map((each) => each.removed)).toEqual([true, false]);
  });

  it("ignores item types it does not know", () => {
    const unknown = { type: "poll", seq: 2, at } as unknown as Item;
    expect(seqs(take(EMPTY, [comment(1), unknown, comment(3)]))).toEqual([1, 3]);
  });

  it("is bounded and keeps the newest", () => {
    const list = take(EMPTY, Array.from({ length: KEPT + 50 }, (_, n) => comment(n + 1)));
    expect(list.shown.length).toBe(KEPT);
    expect(list.shown.at(-1)?.seq).toBe(KEPT + 50);
  });

  it("tells how a comment on its way stands, and lets it go", () => {
    const limited = refused(sending(EMPTY, "k", "hello", null), "k", "limited", "Slow down", 5_000);
    expect(limited.pending).toMatchObject([{ text: "hello", state: "limited", retryAt: 5_000 }]);
    const again = sending(limited, "k", "hello", null);
    expect(again.pending).toMatchObject([{ state: "pending", retryAt: null }]);
    expect(dropped(again, "k").pending).toEqual([]);
  });
});
