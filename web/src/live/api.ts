/** The HTTP API, with a guest's credential that is minted when it is first needed. */

import type {
  Follow,
  Invitation,
  InvitationPage,
  PostedComment,
  Privacy,
  Problem,
  ReactionType,
  Recording,
  StartedStream,
  Stream,
  Watch,
} from "./contract";

const API = "/api/v1";
const KEPT = "ovation.session";
/** Whoever only taps was never asked for a name, and is asked when there is something to say. */
const KEPT_UNNAMED = "ovation.unnamed";

export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

const NO_ANSWER: Problem = {
  type: "about:blank",
  title: "No answer",
  status: 0,
  detail: "No answer.",
  code: "UNAVAILABLE",
  retryable: true,
};

export interface Session {
  token: string;
  user: { id: string; name: string };
  expires_at: string;
}

async function call<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const init: RequestInit = { method, headers: { "Content-Type": "application/json", ...headers } };
  if (body !== undefined) init.body = JSON.stringify(body);
  const answer = await fetch(API + path, init);
  if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as T;
  const problem = (await answer.json().catch(() => null)) as Problem | null;
  throw new ApiError(problem ?? { ...NO_ANSWER, status: answer.status });
}

export function session(): Session | null {
  return held(KEPT);
}

function held(under: string): Session | null {
  const kept = JSON.parse(localStorage.getItem(under) ?? "null") as Session | null;
  return kept !== null && Date.parse(kept.expires_at) > Date.now() + 60_000 ? kept : null;
}

async function mint(name: string, under: string): Promise<Session> {
  const minted = await call<Session>("POST", "/session", { name });
  localStorage.setItem(under, JSON.stringify(minted));
  return minted;
}

export const signIn = (name: string) => mint(name, KEPT);

export function forget(): void {
  localStorage.removeItem(KEPT);
  localStorage.removeItem(KEPT_UNNAMED);
}

function credential(as: Session | null = session()): Record<string, string> {
  return as === null ? {} : { Authorization: `Bearer ${as.token}` };
}

export const liveStreams = () => call<{ streams: Stream[] }>("GET", "/streams?status=live&limit=50");
export const stream = (id: string) => call<Stream>("GET", `/streams/${id}`, undefined, credential());
export const ingest = async (id: string) =>
  (await call<Stream>("GET", `/streams/${id}`, undefined, credential())).ingest ?? null;
export const start = (title: string, privacy: Privacy) =>
  call<StartedStream>("POST", "/streams/start", { title, privacy }, credential());
/** Where the video is: an address of one's own where the stream is not public, and only for a while. */
export const playback = (id: string) => call<Watch>("GET", `/streams/${id}/watch`, undefined, credential());
export const setPrivacy = (id: string, privacy: Privacy) =>
  call<Stream>("PATCH", `/streams/${id}`, { privacy }, credential());
const followed = (user: string) => `/users/${encodeURIComponent(user)}/follow`;
export const follows = (user: string) => call<Follow>("GET", followed(user), undefined, credential());
export const follow = (user: string, on: boolean) =>
  call<Follow | undefined>(on ? "PUT" : "DELETE", followed(user), undefined, credential());
export const invitations = (id: string) =>
  call<InvitationPage>("GET", `/streams/${id}/invitations?limit=200`, undefined, credential());
export const invite = (id: string, user: string, on: boolean) =>
  call<Invitation | undefined>(
    on ? "PUT" : "DELETE",
    `/streams/${id}/invitations/${encodeURIComponent(user)}`,
    undefined,
    credential(),
  );
export const remove = (id: string, comment: string) =>
  call<undefined>("DELETE", `/streams/${id}/comments/${comment}`, undefined, credential());
export const react = async (id: string, reaction_type: ReactionType) => {
  const as = session() ?? held(KEPT_UNNAMED) ?? (await mint("Guest", KEPT_UNNAMED));
  return call<{ total_reactions: Record<string, number> }>(
    "POST",
    `/streams/${id}/reactions`,
    { reaction_type },
    credential(as),
  );
};
export const post = (id: string, text: string, key: string, parent: string | null) =>
  call<PostedComment>(
    "POST",
    `/streams/${id}/comments`,
    parent === null ? { text } : { text, parent_comment_id: parent },
    { ...credential(), "Idempotency-Key": key },
  );
export const events = (id: string) => (last: number | null) =>
  `${API}/streams/${id}/events${last === null ? "" : `?last_event_id=${last}`}`;
export const replay = (id: string) => `${API}/streams/${id}/replay`;
export const recording = (id: string) => call<Recording>("GET", `/streams/${id}/recording`, undefined, credential());
