/** What the watch page shows, in one Zustand store; everything that decides is in the plain modules beside this one. */

import { create } from "zustand";

import * as api from "./api";
import { ApiError } from "./api";
import { dropped, EMPTY, posted, refused, sending, take, type CommentList } from "./comments";
import { Connection, type ConnectionState, type Source, type Surroundings } from "./connection";
import type { Item, ReactionType, Recording, Stream, VideoState } from "./contract";
import { newKey } from "./keys";
import { Replay, type Screen } from "./replay";
import { Sample, type Share } from "./sample";

export interface Notice {
  id: number;
  kind: "caught-up" | "gap" | "error";
  text: string;
}

interface Watching {
  stream: Stream | null;
  missing: boolean;
  video: VideoState;
  ended: boolean;
  /** What can be played of it; `replaying` while it is. */
  recording: Recording | null;
  replaying: boolean;
  list: CommentList;
  viewers: number | null;
  approximate: boolean;
  totals: Record<string, number>;
  bursts: { id: number; type: string }[];
  connection: ConnectionState;
  retryAt: number | null;
  seq: number | null;
  intact: boolean;
  sampled: Share | null;
  notice: Notice | null;
  replyTo: { comment_id: string; name: string } | null;
}

const START: Watching = {
  stream: null,
  missing: false,
  video: "waiting",
  ended: false,
  recording: null,
  replaying: false,
  list: EMPTY,
  viewers: null,
  approximate: false,
  totals: {},
  bursts: [],
  connection: "connecting",
  retryAt: null,
  seq: null,
  intact: true,
  sampled: null,
  notice: null,
  replyTo: null,
};

/** Hearts in the air at once: more would only cost frames. */
const MAX_BURSTS = 24;

export const useWatching = create<Watching>(() => START);

const set = useWatching.setState;
let counter = 0;
let connection: Connection | null = null;
let streamId = "";
/** What events have told of this stream: newer than any answer that was on its way meanwhile. */
let told: Partial<Watching> = {};

function tell(news: Partial<Watching>): void {
  told = { ...told, ...news };
  set(news);
}

const browser: Surroundings = {
  open: (url) => new EventSource(url) as unknown as Source,
  now: () => Date.now(),
  random: () => Math.random(),
  later: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Watch a stream until the returned function is called. */
export function watch(id: string): () => void {
  streamId = id;
  told = {};
  set({ ...START });
  void load(id);
  const sample = new Sample();
  let losses = 0;
  const live = new Connection(api.events(id), browser, {
    state: (state, retryAt) => {
      set({ connection: state, retryAt });
      if (state === "live" || state === "catching-up") losses = 0;
      // Twice in a row: an EventSource does not tell a network that is gone from a stream that is not ours to see any more.
      if (state === "offline" && ++losses === 2) void load(id);
    },
    delivery: (delivery) => {
      set((now) => ({ list: take(now.list, delivery.items), seq: delivery.to, intact: live.chain.intact }));
      if (delivery.sampled) sample.take(delivery.sampled, Date.now());
      // Those from before this connection too: the stream's record may have been read before them.
      for (const item of delivery.items) heed(item);
    },
    caughtUp: (awayMs, comments) => notify("caught-up", caughtUp(awayMs, comments)),
    gap: (gap) => notify("gap", `Some comments (#${gap.from}–#${gap.to}) can no longer be shown: ${gap.reason}.`),
    event: (name, data) => (name === "viewers" ? count(data) : burst(data)),
  });
  connection = live;
  live.start();
  const telling = setInterval(() => set({ sampled: sample.told(Date.now()) }), 1_000);
  const online = () => live.hurry();
  const offline = () => live.networkLost();
  addEventListener("online", online);
  addEventListener("offline", offline);
  // Read by the browser test, and by anyone who wants to check the proof.
  Object.assign(window, { __ovation: debug });
  return () => {
    clearInterval(telling);
    removeEventListener("online", online);
    removeEventListener("offline", offline);
    live.close();
    connection = null;
  };
}

const debug = () => ({
  last: connection?.chain.last ?? null,
  breaks: connection?.chain.breaks ?? 0,
  gaps: connection?.chain.gaps ?? [],
  repeats: connection?.repeats ?? 0,
});

async function load(id: string): Promise<void> {
  try {
    const stream = await api.stream(id);
    // Before anything shows: the end of a past stream is not for those who are about to watch it.
    const recording = stream.status === "ended" ? await offer(id) : null;
    if (id !== streamId) return;
    set({
      stream,
      video: stream.video,
      ended: stream.status === "ended",
      viewers: stream.viewer_count,
      ...told,
      totals: { ...stream.reactions, ...told.totals },
    });
    if (recording !== null) playRecording();
  } catch (error) {
    if (error instanceof ApiError && error.problem.status === 404) set({ missing: true });
    else setTimeout(() => id === streamId && void load(id), 2_000);
  }
}

/** Find what was recorded of a stream; without a recording its chat is there to read. */
async function offer(id: string): Promise<Recording | null> {
  try {
    const recording = await api.recording(id);
    if (id === streamId) set({ recording });
    return recording;
  } catch {
    return null;
  }
}

/** Play the recording, and the chat along with it. */
export function playRecording(): void {
  connection?.close();
  connection = null;
  set({ replaying: true, list: EMPTY, sampled: null, viewers: null, connection: "connecting" });
}

/** Replay the chat by what is on `screen`, until the returned function is called. */
export function replay(id: string, screen: Screen): () => void {
  const chat = new Replay(api.replay(id), screen, browser, {
    show: (items) => set((now) => ({ list: take(now.list, items), seq: items.at(-1)?.seq ?? now.seq })),
    clear: () => set({ list: EMPTY }),
    hide: (item) =>
      set((now) =>
        item.type === "removed" && now.list.shown.every((each) => each.comment_id !== item.comment_id)
          ? {}
          : { list: take(now.list, [item]) },
      ),
    state: (state, retryAt) => set({ connection: state, retryAt }),
  });
  let frame = requestAnimationFrame(function tick() {
    chat.tick();
    frame = requestAnimationFrame(tick);
  });
  const online = () => chat.hurry();
  addEventListener("online", online);
  return () => {
    cancelAnimationFrame(frame);
    removeEventListener("online", online);
    chat.close();
  };
}

function heed(item: Item): void {
  switch (item.type) {
    case "live":
    case "interrupted":
      tell({ video: item.type });
      break;
    case "ended":
      tell({ video: "ended", ended: true });
      break;
    case "recording":
      void offer(streamId);
      break;
    case "settings":
      set((now) => ({
        stream: now.stream && {
          ...now.stream,
          title: item.title,
          description: item.description,
          privacy: item.privacy,
          status: item.status ?? now.stream.status,
        },
      }));
  }
}

function count(data: unknown): void {
  const { count: viewers, approximate } = data as { count: number; approximate: boolean };
  tell({ viewers, approximate });
}

function burst(data: unknown): void {
  const { counts, totals } = data as { counts: Record<string, number>; totals: Record<string, number> };
  const fresh = Object.entries(counts).flatMap(([type, n]) =>
    Array.from({ length: Math.min(n, 6) }, () => ({ id: ++counter, type })),
  );
  told = { ...told, totals: { ...told.totals, ...totals } };
  set((now) => ({ totals: { ...now.totals, ...totals }, bursts: [...now.bursts, ...fresh].slice(-MAX_BURSTS) }));
}

export function landed(id: number): void {
  set((now) => ({ bursts: now.bursts.filter((each) => each.id !== id) }));
}

function notify(kind: Notice["kind"], text: string): void {
  const id = ++counter;
  set({ notice: { id, kind, text } });
  setTimeout(() => set((now) => (now.notice?.id === id ? { notice: null } : {})), 8_000);
}

function caughtUp(awayMs: number, comments: number): string {
  const seconds = Math.max(1, Math.round(awayMs / 1000));
  const what = comments === 0 ? "nothing was missed" : `${comments} ${comments === 1 ? "comment" : "comments"} caught up`;
  return `You were away ${seconds} s: ${what}.`;
}

export function reply(comment: { comment_id: string; name: string } | null): void {
  set({ replyTo: comment });
}

/** Post a comment; it shows as pending at once, under the key that makes a retry the same comment. */
export async function say(text: string): Promise<void> {
  const parent = useWatching.getState().replyTo?.comment_id ?? null;
  set({ replyTo: null });
  await send(newKey(), text, parent);
}

export async function again(key: string): Promise<void> {
  const each = useWatching.getState().list.pending.find((one) => one.key === key);
  if (each) await send(key, each.text, each.parent_comment_id);
}

export function drop(key: string): void {
  set((now) => ({ list: dropped(now.list, key) }));
}

async function send(key: string, text: string, parent: string | null): Promise<void> {
  const id = streamId;
  set((now) => ({ list: sending(now.list, key, text, parent) }));
  try {
    const comment = await api.post(id, text, key, parent);
    if (id === streamId) set((now) => ({ list: posted(now.list, key, comment) }));
  } catch (error) {
    if (id === streamId) refuse(key, error);
  }
}

function refuse(key: string, error: unknown): void {
  const problem = error instanceof ApiError ? error.problem : null;
  if (problem?.status === 401) api.forget();
  if (problem !== null && !problem.retryable) {
    set((now) => ({ list: refused(now.list, key, "rejected", problem.detail, null) }));
    return;
  }
  // Limited, or no answer: the same key again, so that it is said once whatever happened.
  const wait = (problem?.retry_after ?? 2) * 1000;
  const why = problem?.code === "RATE_LIMITED" ? "Slow down a little" : "Not sent yet";
  set((now) => ({ list: refused(now.list, key, "limited", why, Date.now() + wait) }));
  setTimeout(() => void again(key), wait);
}

export async function remove(comment_id: string): Promise<void> {
  try {
    await api.remove(streamId, comment_id);
  } catch (error) {
    notify("error", error instanceof Error ? error.message : "It could not be removed.");
  }
}

export async function react(type: ReactionType): Promise<void> {
  try {
    const { total_reactions } = await api.react(streamId, type);
    set((now) => ({ totals: { ...now.totals, ...total_reactions } }));
  } catch (error) {
    if (error instanceof ApiError && error.problem.code !== "RATE_LIMITED") notify("error", error.message);
  }
}
