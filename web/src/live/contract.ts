/** The wire: what the gateway sends, as docs/openapi.json and the structs in schemas/ have it. */

export interface User {
  id: string;
  name: string;
  picture: string | null;
  badges: string[];
}

interface Logged {
  seq: number;
  at: string;
}

export interface CommentItem extends Logged {
  type: "comment";
  comment_id: string;
  user: User;
  text: string;
  parent_comment_id: string | null;
  created_at: string;
}

export interface RemovedItem extends Logged {
  type: "removed";
  comment_id: string;
  reason: string;
}

export type Item =
  | CommentItem
  | RemovedItem
  | (Logged & { type: "restored"; comment: Omit<CommentItem, "seq" | "at" | "type"> })
  | (Logged & { type: "purged"; user_id: string })
  | (Logged & { type: "pinned" | "unpinned" | "highlighted"; comment_id: string; by: string })
  | (Logged & { type: "settings"; title: string; description: string; settings: { slow_mode_s: number } })
  | (Logged & { type: "live" | "interrupted" | "ended" | "recording" });

export interface Delivery {
  prev: number;
  from: number;
  to: number;
  backfill: boolean;
  items: Item[];
}

export interface Gap {
  from: number;
  to: number;
  reason: "expired" | "reset" | "unavailable";
}

export type VideoState = "waiting" | "live" | "interrupted" | "ended";

export interface Stream {
  stream_id: string;
  broadcaster: { id: string; name: string; picture: string | null };
  title: string;
  description: string;
  status: "scheduled" | "live" | "ended";
  is_live: boolean;
  video: VideoState;
  viewer_count: number;
  comment_count: number;
  reaction_count: number;
  reactions: Record<string, number>;
  started_at: string | null;
  stream_url: string;
  last_seq: number;
}

export interface StartedStream {
  stream_id: string;
  rtmp_url: string;
  stream_key: string;
}

export interface Problem {
  code: string;
  detail: string;
  status: number;
  retryable: boolean;
  retry_after?: number;
}

export interface PostedComment extends CommentItem {
  status: string;
}

export const REACTIONS = ["like", "love", "haha", "wow", "sad", "angry"] as const;
export type ReactionType = (typeof REACTIONS)[number];
