/** The list of comments: log order, each once, bounded; and the ones on their way. */

import type { CommentItem, Item, PostedComment, User } from "./contract";

/** What the page keeps; older ones are a page of history away. */
export const KEPT = 500;

export type PostState = "pending" | "limited" | "rejected";

export interface Shown {
  key: string;
  seq: number;
  comment_id: string;
  user: User;
  text: string;
  parent_comment_id: string | null;
  at: string;
  removed: boolean;
}

export interface Pending {
  key: string;
  text: string;
  parent_comment_id: string | null;
  state: PostState;
  /** What the server said. */
  detail: string;
  /** When a limited one is sent again, in ms since the epoch. */
  retryAt: number | null;
}

export interface CommentList {
  shown: Shown[];
  pending: Pending[];
}

export const EMPTY: CommentList = { shown: [], pending: [] };

/** Take the items of one delivery, in order. */
export function take(list: CommentList, items: Item[]): CommentList {
  let shown = list.shown;
  for (const item of items) shown = one(shown, item);
  return { ...list, shown: shown.length > KEPT ? shown.slice(-KEPT) : shown };
}

/** The author's own comment, from the POST answer: it may come before or after the same one on the stream. */
export function posted(list: CommentList, key: string, comment: PostedComment): CommentList {
  const pending = list.pending.filter((each) => each.key !== key);
  const shown = comment.status === "visible" ? insert(list.shown, comment) : list.shown;
  return { shown, pending };
}

export function sending(list: CommentList, key: string, text: string, parent: string | null): CommentList {
  const fresh: Pending = { key, text, parent_comment_id: parent, state: "pending", detail: "", retryAt: null };
  const others = list.pending.filter((each) => each.key !== key);
  return { ...list, pending: [...others, fresh] };
}

export function refused(
  list: CommentList,
  key: string,
  state: PostState,
  detail: string,
  retryAt: number | null,
): CommentList {
  const pending = list.pending.map((each) => (each.key === key ? { ...each, state, detail, retryAt } : each));
  return { ...list, pending };
}

export function dropped(list: CommentList, key: string): CommentList {
  return { ...list, pending: list.pending.filter((each) => each.key !== key) };
}

function one(shown: Shown[], item: Item): Shown[] {
  switch (item.type) {
    case "comment":
      return insert(shown, item);
    case "removed":
      return hide(shown, (each) => each.comment_id === item.comment_id, item);
    case "purged":
      return shown.map((each) =>
        each.user.id === item.user_id && each.seq < item.seq ? { ...each, text: "", removed: true } : each,
      );
    case "restored": {
      const { comment } = item;
      const at = shown.findIndex((each) => each.comment_id === comment.comment_id);
      if (at < 0) return shown;
      return shown.map((each, index) => (index === at ? { ...each, ...comment, removed: false } : each));
    }
    default:
      return shown;
  }
}

/** A removal hides the comment; in catch-up it stands in the comment's own place, whose seq is its own. */
function hide(shown: Shown[], matches: (each: Shown) => boolean, item: Item & { comment_id: string }): Shown[] {
  return shown.some(matches)
    ? shown.map((each) => (matches(each) ? { ...each, text: "", removed: true } : each))
    : insertShown(shown, {
        key: item.comment_id,
        seq: item.seq,
        comment_id: item.comment_id,
        user: { id: "", name: "", picture: null, badges: [] },
        text: "",
        parent_comment_id: null,
        at: item.at,
        removed: true,
      });
}

function insert(shown: Shown[], item: CommentItem): Shown[] {
  const { seq, comment_id, user, text, parent_comment_id, at } = item;
  return insertShown(shown, { key: comment_id, seq, comment_id, user, text, parent_comment_id, at, removed: false });
}

function insertShown(shown: Shown[], fresh: Shown): Shown[] {
  if (shown.some((each) => each.comment_id === fresh.comment_id)) return shown;
  let at = shown.length;
  while (at > 0 && shown[at - 1]!.seq > fresh.seq) at -= 1;
  return [...shown.slice(0, at), fresh, ...shown.slice(at)];
}
