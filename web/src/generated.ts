/** Generated from schemas/ by `./just schemas`; do not edit. */

export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  retryable: boolean;
  field?: string | null;
  retry_after?: number | null;
}

export interface Delivery {
  prev: number;
  from: number;
  to: number;
  backfill: boolean;
  items: (Comment | Removed | Restored | Purged | Pinned | Unpinned | Highlighted | Settings | Live | Interrupted | Ended | Recording)[];
  sampled?: Sampled | null;
}

export interface Comment {
  type: "comment";
  comment_id: string;
  user: User;
  text: string;
  parent_comment_id?: string | null;
  created_at: string;
}

export interface User {
  id: string;
  name: string;
  picture?: string | null;
  badges?: string[];
}

export interface Removed {
  type: "removed";
  comment_id: string;
  reason: "author" | "automatic" | "creator" | "moderator" | "purged";
}

export interface Restored {
  type: "restored";
  comment: Comment;
}

export interface Purged {
  type: "purged";
  user_id: string;
  reason?: string;
}

export interface Pinned {
  type: "pinned";
  comment_id: string;
  by: string;
}

export interface Unpinned {
  type: "unpinned";
  comment_id: string;
  by: string;
}

export interface Highlighted {
  type: "highlighted";
  comment_id: string;
  by: string;
}

export interface Settings {
  type: "settings";
  title: string;
  description: string;
  privacy: "followers" | "private" | "public";
  settings: PublicSettings;
  status?: "ended" | "live" | "scheduled" | null;
  revision: number;
}

export interface PublicSettings {
  slow_mode_s?: number;
  followers_only?: boolean;
  moderation?: "hold" | "open";
  shield?: boolean;
}

export interface Live {
  type: "live";
  revision: number;
}

export interface Interrupted {
  type: "interrupted";
  revision: number;
}

export interface Ended {
  type: "ended";
  revision: number;
  ended_at: string;
}

export interface Recording {
  type: "recording";
  recording_id: string;
  hls_url: string;
  mp4_url?: string | null;
  duration_s: number;
}

export interface Sampled {
  shown: number;
  of: number;
}

export interface ReactionBurst {
  counts: Record<string, number>;
  totals: Record<string, number>;
  at: string;
}

export interface ViewerCount {
  count: number;
  approximate: boolean;
}

export interface Gap {
  from: number;
  to: number;
  reason: string;
}

export interface NewSession {
  name: string;
}

export interface Session {
  token: string;
  user: SessionUser;
  expires_at: string;
}

export interface SessionUser {
  id: string;
  name: string;
}

export interface StreamPage {
  streams: Stream[];
  next_cursor: string | null;
  limit: number;
}

export interface Stream {
  stream_id: string;
  broadcaster: Broadcaster;
  title: string;
  description: string;
  privacy: "followers" | "private" | "public";
  status: "ended" | "live" | "scheduled";
  is_live: boolean;
  video: "ended" | "interrupted" | "live" | "waiting";
  viewer_count: number;
  comment_count: number;
  reaction_count: number;
  reactions: Record<string, number>;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  scheduled_for: string | null;
  stream_url: string;
  thumbnail_url: string | null;
  strip_url: string | null;
  settings: StreamSettings;
  last_seq: number;
  ingest?: StreamIngest | null;
}

export interface Broadcaster {
  id: string;
  name: string;
  picture?: string | null;
}

export interface StreamSettings {
  slow_mode_s?: number;
  followers_only?: boolean;
  moderation?: "hold" | "open";
  shield?: boolean;
  banned_words?: string[];
}

export interface StreamIngest {
  state: "away" | "publishing";
  encoder?: string | null;
  transport?: "rtmp" | "rtmps";
  codecs?: string | null;
  width?: number | null;
  height?: number | null;
  frame_rate?: number | null;
  bit_rate?: number | null;
  warnings: Warned[];
  at: string;
}

export interface Warned {
  about: "bit_rate" | "codec" | "keyframes";
  text: string;
}

export interface NewStream {
  title: string;
  description?: string | null;
  privacy?: "followers" | "private" | "public";
  scheduled_for?: string | null;
}

export interface StartedStream {
  stream_id: string;
  rtmp_url: string;
  rtmps_url: string | null;
  stream_key: string;
  status: "ended" | "live" | "scheduled";
  video: "ended" | "interrupted" | "live" | "waiting";
  started_at: string | null;
  scheduled_for: string | null;
  watch_url: string;
}

export interface StreamChange {
  title?: string;
  description?: string;
  privacy?: "followers" | "private" | "public";
  settings?: SettingsChange;
}

export interface SettingsChange {
  slow_mode_s?: number;
  followers_only?: boolean;
  moderation?: "hold" | "open";
  shield?: boolean;
  banned_words?: string[];
}

export interface EndedStream {
  stream_id: string;
  status: "ended" | "live" | "scheduled";
  ended_at: string;
  total_viewers: number;
  total_comments: number;
  recording_url: string | null;
}

export interface FinishedRecording {
  recording_id: string;
  hls_url: string;
  mp4_url: string | null;
  poster_url: string | null;
  strip_url: string | null;
  duration_s: number;
  size_bytes: number;
  created_at: string;
}

export interface Watch {
  stream_id: string;
  hls_url: string;
  expires_at: string | null;
  qualities: string[];
  viewer_count: number;
  is_live: boolean;
  video: "ended" | "interrupted" | "live" | "waiting";
}

export interface NewKey {
  stream_id: string;
  stream_key: string;
  rtmp_url: string;
  rtmps_url: string | null;
}

export interface Ticket {
  ticket: string;
  expires_at: string;
}

export interface InvitationPage {
  invitations: Invitation[];
  next_cursor: string | null;
  limit: number;
}

export interface Invitation {
  user_id: string;
  invited_at: string;
}

export interface Follow {
  user_id: string;
  following: boolean;
  since: string | null;
}

export interface CommentPage {
  comments: (PostedComment | RemovedComment)[];
  next_cursor: string | null;
  limit: number;
  total: number;
  total_is_exact: boolean;
}

export interface PostedComment {
  type: "comment";
  comment_id: string;
  seq: number | null;
  stream_id: string;
  user: User;
  user_id: string;
  text: string;
  parent_comment_id: string | null;
  created_at: string;
  at: string | null;
  status: "held" | "removed" | "visible";
  sampled: boolean;
}

export interface RemovedComment {
  type: "removed";
  comment_id: string;
  seq: number;
  at: string;
  reason: string;
}

export interface NewComment {
  text: string;
  parent_comment_id?: string | null;
}

export interface Thread {
  comments: (PostedComment | RemovedComment)[];
  next_cursor: string | null;
  limit: number;
}

export interface NewReaction {
  reaction_type: "angry" | "haha" | "like" | "love" | "sad" | "wow";
}

export interface CountedReaction {
  reaction_id: string;
  reaction_type: "angry" | "haha" | "like" | "love" | "sad" | "wow";
  total_reactions?: Record<string, number>;
}

export interface JoinStream {
  type: "join_stream";
  stream_id: string;
  last_seen_seq?: number | null;
}

export interface LeaveStream {
  type: "leave_stream";
}

export interface PostComment {
  type: "post_comment";
  stream_id: string;
  content: string;
  idempotency_key: string;
  parent_id?: string | null;
}

export interface React {
  type: "react";
  stream_id: string;
  reaction_type: "angry" | "haha" | "like" | "love" | "sad" | "wow";
  comment_id?: string | null;
}

export interface CommentsBatch {
  type: "comments_batch";
  stream_id: string;
  prev: number;
  from: number;
  to: number;
  comments: (Comment | Removed | Restored | Purged | Pinned | Unpinned | Highlighted | Settings | Live | Interrupted | Ended | Recording)[];
  is_backfill: boolean;
  sampled?: Sampled | null;
}

export interface GapTold {
  type: "gap";
  stream_id: string;
  from: number;
  to: number;
  reason: "expired" | "reset" | "unavailable";
}

export interface ReactionsBatch {
  type: "reactions_batch";
  stream_id: string;
  counts: Record<string, number>;
  totals: Record<string, number>;
  at: string;
}

export interface ViewerCountTold {
  type: "viewer_count";
  stream_id: string;
  count: number;
  approximate: boolean;
}

export interface Ack {
  type: "ack";
  idempotency_key: string;
  comment_id: string | null;
  seq: number | null;
  status: "accepted" | "held" | "rate_limited" | "rejected";
  code?: string | null;
  field?: string | null;
  retry_after?: number | null;
  message?: string | null;
}

export interface Refused {
  type: "error";
  code: string;
  message: string;
  retryable: boolean;
  command?: string | null;
  field?: string | null;
  retry_after?: number | null;
}

export interface Reconnect {
  type: "reconnect";
  retry_ms: number;
}

export type Item = Comment | Removed | Restored | Purged | Pinned | Unpinned | Highlighted | Settings | Live | Interrupted | Ended | Recording;

export type SocketCommand = JoinStream | LeaveStream | PostComment | React;

export type SocketMessage = CommentsBatch | GapTold | ReactionsBatch | ViewerCountTold | Ack | Refused | Reconnect;
