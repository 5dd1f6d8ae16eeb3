import { memo, useEffect, useState } from "react";

import * as api from "../live/api";
import type { Pending, Shown } from "../live/comments";
import { again, drop, remove, reply } from "../live/store";

/** A colour of one's own, the same for everybody who looks. */
export function hue(id: string): number {
  let sum = 7;
  for (const character of id) sum = (sum * 31 + character.charCodeAt(0)) % 360;
  return sum;
}

export const Comment = memo(function Comment({ comment, parent }: { comment: Shown; parent: Shown | undefined }) {
  const { user } = comment;
  if (comment.removed) {
    return (
      <li className="comment gone" data-testid="comment" data-seq={comment.seq} data-comment-id={comment.comment_id}>
        <span className="muted">This comment was removed</span>
      </li>
    );
  }
  const mine = api.session()?.user.id === user.id;
  return (
    <li className={`comment ${mine ? "mine" : ""}`} data-testid="comment" data-seq={comment.seq} data-comment-id={comment.comment_id}>
      <span className="avatar" style={{ background: `hsl(${hue(user.id)} 55% 45%)` }} aria-hidden="true">
        {[...user.name][0]?.toUpperCase()}
      </span>
      <div className="said">
        {parent && !parent.removed && (
          <p className="quoted">
            ↪ <b>{parent.user.name}</b> {parent.text}
          </p>
        )}
        <p>
          <b style={{ color: `hsl(${hue(user.id)} var(--name-tone))` }}>{user.name}</b>
          {user.badges
            .filter((badge) => badge !== "guest")
            .map((badge) => (
              <span className={`badge ${badge}`} key={badge}>
                {badge}
              </span>
            ))}
          <time dateTime={comment.at} title={new Date(comment.at).toLocaleString()}>
            {new Date(comment.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}
          </time>
        </p>
        <p className="text" data-testid="comment-text">
          {comment.text}
        </p>
      </div>
      <span className="tools">
        <button aria-label={`Reply to ${user.name}`} title="Reply" onClick={() => reply({ comment_id: comment.comment_id, name: user.name })}>
          ↩
        </button>
        {mine && (
          <button aria-label="Remove my comment" title="Remove" onClick={() => void remove(comment.comment_id)}>
            ✕
          </button>
        )}
      </span>
    </li>
  );
});

export function PendingComment({ comment }: { comment: Pending }) {
  const left = useCountdown(comment.retryAt);
  return (
    <li className={`comment pending ${comment.state}`} data-testid="pending" data-state={comment.state}>
      <div className="said">
        <p className="text">{comment.text}</p>
        <p className="muted">
          {comment.state === "pending" && "Sending…"}
          {comment.state === "limited" && `${comment.detail}: sending in ${left} s`}
          {comment.state === "rejected" && (
            <>
              <span role="alert">{comment.detail}</span>{" "}
              <button className="link" onClick={() => void again(comment.key)}>
                Try again
              </button>{" "}
              <button className="link" onClick={() => drop(comment.key)}>
                Discard
              </button>
            </>
          )}
        </p>
      </div>
    </li>
  );
}

/** Whole seconds until `at`, counting down. */
export function useCountdown(at: number | null): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (at === null) return;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [at]);
  return at === null ? 0 : Math.max(0, Math.ceil((at - now) / 1000));
}
