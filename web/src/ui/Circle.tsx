import { useEffect, useState } from "react";

import * as api from "../live/api";
import type { Privacy, Stream } from "../live/contract";

/** Whom a stream is for: the broadcaster chooses and invites, everybody else follows. */
export function Circle({ stream }: { stream: Stream }) {
  const session = api.session();
  if (session === null) return null;
  if (session.user.id === stream.broadcaster.id) return <Owned stream={stream} />;
  return <Follow creator={stream.broadcaster} />;
}

/** Who one is, to tell a broadcaster who should invite. */
export function Self() {
  const session = api.session();
  if (session === null) return null;
  return (
    <p className="muted">
      To be invited, tell the broadcaster your id: <code data-testid="own-id">{session.user.id}</code>
    </p>
  );
}

function Follow({ creator }: { creator: Stream["broadcaster"] }) {
  const [following, setFollowing] = useState<boolean | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    api.follows(creator.id).then((found) => setFollowing(found.following), () => setFollowing(null));
  }, [creator.id]);
  if (following === null) return null;
  const toggle = async () => {
    try {
      await api.follow(creator.id, !following);
      setFollowing(!following);
      setProblem("");
    } catch (error) {
      setProblem(said(error));
    }
  };
  return (
    <div className="row circle">
      <button aria-pressed={following} onClick={() => void toggle()}>
        {following ? "Following" : `Follow ${creator.name}`}
      </button>
      {problem && <span role="alert">{problem}</span>}
    </div>
  );
}

function Owned({ stream }: { stream: Stream }) {
  const [invited, setInvited] = useState<string[]>([]);
  const [problem, setProblem] = useState("");
  const id = stream.stream_id;
  const isPrivate = stream.privacy === "private";
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work();
      setProblem("");
      if (isPrivate) setInvited((await api.invitations(id)).invitations.map((each) => each.user_id));
    } catch (error) {
      setProblem(said(error));
    }
  };
  useEffect(() => {
    if (isPrivate) void attempt(async () => {});
  }, [id, isPrivate]);
  return (
    <div className="circle">
      <label className="row">
        Who may watch
        <select value={stream.privacy} onChange={(event) => void attempt(() => api.setPrivacy(id, event.target.value as Privacy))}>
          <option value="public">Everyone</option>
          <option value="followers">People who follow you</option>
          <option value="private">People you invite</option>
        </select>
      </label>
      {isPrivate && (
        <form className="row" action={(form) => attempt(() => api.invite(id, String(form.get("user")).trim(), true))}>
          <input name="user" required maxLength={128} placeholder="Id of a person to invite" aria-label="Id of a person to invite" />
          <button>Invite</button>
        </form>
      )}
      {isPrivate && invited.length > 0 && (
        <ul aria-label="Invited">
          {invited.map((user) => (
            <li key={user} className="row">
              <code>{user}</code>
              <button aria-label={`Take back the invitation of ${user}`} onClick={() => void attempt(() => api.invite(id, user, false))}>
                Remove
              </button>
            </li>
          ))}
        </ul>
      )}
      {problem && <span role="alert">{problem}</span>}
    </div>
  );
}

const said = (error: unknown) => (error instanceof Error ? error.message : "It did not work.");
