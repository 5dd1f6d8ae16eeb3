/** The wire, as the page uses it: generated types, and items with the seq and time that the log gives them. */

import type { ProblemDocument, Stream } from "../generated";
import type { Share } from "./sample";

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
  | (Logged & { type: "settings"; title: string; description: string; privacy: Stream["privacy"]; settings: { slow_mode_s: number }; status?: Stream["status"] | null })
  | (Logged & { type: "live" | "interrupted" | "ended" | "recording" });

export interface Delivery {
  prev: number;
  from: number;
  to: number;
  backfill: boolean;
  /** Of how many comments this delivery holds how many, where the stream is sampled. */
  sampled?: Share;
  items: Item[];
}

export type { Follow, Gap, Invitation, InvitationPage, StartedStream, Stream, Watch } from "../generated";
export type Problem = ProblemDocument;
export type Privacy = Stream["privacy"];
export type VideoState = Stream["video"];

/** What can be played of a stream that has ended. */
export interface Recording {
  poster_url: string | null;
  recording_id: string;
  hls_url: string;
  mp4_url: string | null;
  duration_s: number;
}

export interface PostedComment extends CommentItem {
  status: string;
}

export const REACTIONS = ["like", "love", "haha", "wow", "sad", "angry"] as const;
export type ReactionType = (typeof REACTIONS)[number];
