import { useEffect, useLayoutEffect, useRef, useState } from "react";

import { EMPTY } from "../live/comments";
import { useWatching } from "../live/store";
import { Comment, PendingComment } from "./Comment";
import { Composer } from "./Composer";
import { Connection } from "./Connection";

/** How near to the end still counts as reading the newest, in pixels. */
const NEAR = 60;

/** The audience: comments in order, the box to post, and how the connection is. */
export function Chat() {
  const shown = useWatching((now) => (now.stream === null ? EMPTY.shown : now.list.shown));
  const pending = useWatching((now) => now.list.pending);
  const notice = useWatching((now) => now.notice);
  const sampled = useWatching((now) => now.sampled);
  const replaying = useWatching((now) => now.replaying);
  const scroller = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const [unread, setUnread] = useState(0);
  const last = shown.at(-1)?.seq ?? 0;
  const read = useRef(0);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box !== null && following) box.scrollTop = box.scrollHeight;
  }, [last, pending.length, following]);
  // Something below appears (a notice, the box growing): the newest must not vanish behind it.
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box === null || !following) return;
    const watcher = new ResizeObserver(() => (box.scrollTop = box.scrollHeight));
    watcher.observe(box);
    return () => watcher.disconnect();
  }, [following]);
  useEffect(() => {
    if (following) read.current = last;
    setUnread(following ? 0 : shown.filter((each) => each.seq > read.current).length);
  }, [last, following, shown]);
  const scrolled = () => {
    const box = scroller.current;
    if (box !== null) setFollowing(box.scrollHeight - box.scrollTop - box.clientHeight < NEAR);
  };
  return (
    <aside className="chat" aria-label="Comments">
      <div className="chat-head">
        <h2>Comments</h2>
        <Connection />
      </div>
      <div className="chat-body">
        <div className="chat-scroll" ref={scroller} onScroll={scrolled} tabIndex={0} role="log" aria-live="off">
          {shown.length === 0 && pending.length === 0 && (
            <p className="muted hush">{replaying ? "Nobody had said anything yet." : "Nobody has said anything yet. Be the first."}</p>
          )}
          <ol>
            {shown.map((comment) => (
              <Comment key={comment.key} comment={comment} parent={parentOf(shown, comment.parent_comment_id)} />
            ))}
            {pending.map((comment) => (
              <PendingComment key={comment.key} comment={comment} />
            ))}
          </ol>
        </div>
        {!following && (
          <button className="jump" onClick={() => setFollowing(true)}>
            {unread > 0 ? `${unread} new` : "Newest"} ↓
          </button>
        )}
      </div>
      {notice && (
        <p className={`notice ${notice.kind}`} role="status" data-testid={notice.kind}>
          {notice.text}
        </p>
      )}
      {sampled && (
        <p
          className="sampled muted"
          data-testid="sampled"
          title="More is said than anyone can read. All of it is kept, and others are shown another part."
        >
          A busy chat: showing {sampled.shown.toLocaleString()} of {sampled.of.toLocaleString()}
        </p>
      )}
      <Composer />
    </aside>
  );
}

function parentOf<T extends { comment_id: string }>(shown: T[], id: string | null): T | undefined {
  return id === null ? undefined : shown.find((each) => each.comment_id === id);
}
