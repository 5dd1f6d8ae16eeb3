import { useEffect, useState } from "react";

import * as api from "../live/api";
import type { Stream } from "../live/contract";
import type { Go } from "./App";
import { GoLive } from "./GoLive";
import { Header } from "./Header";

const EVERY_MS = 5_000;

/** What is live now; a single stream is opened directly. */
export function Home({ go }: { go: Go }) {
  const [streams, setStreams] = useState<Stream[] | null>(null);
  const [failed, setFailed] = useState(false);
  const [starting, setStarting] = useState(false);
  const all = location.search === "?all";
  useEffect(() => {
    let over = false;
    const load = async () => {
      try {
        const found = (await api.liveStreams()).streams;
        if (over) return;
        setFailed(false);
        setStreams(found);
        if (found.length === 1 && !all && !starting) go(`/watch/${found[0]!.stream_id}`, true);
      } catch {
        if (!over) setFailed(true);
      }
    };
    void load();
    const timer = setInterval(() => void load(), EVERY_MS);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [all, starting, go]);
  return (
    <>
      <Header go={go}>
        <button className="primary" onClick={() => setStarting(true)}>
          Go live
        </button>
      </Header>
      <main className="home">
        <h1>Live now</h1>
        {failed && <p className="muted">The server does not answer. Trying again…</p>}
        {streams?.length === 0 && (
          <div className="empty">
            <p>Nobody is live at the moment.</p>
            <button className="primary" onClick={() => setStarting(true)}>
              Start a stream
            </button>
          </div>
        )}
        <ul className="cards">
          {streams?.map((stream) => (
            <li key={stream.stream_id}>
              <a
                className="card"
                href={`/watch/${stream.stream_id}`}
                onClick={(event) => {
                  event.preventDefault();
                  go(`/watch/${stream.stream_id}`);
                }}
              >
                <div className="thumb" data-video={stream.video}>
                  <span className={`tag ${stream.video}`}>{stream.video === "live" ? "LIVE" : stream.video}</span>
                </div>
                <strong>{stream.title}</strong>
                <span className="muted">
                  {stream.broadcaster.name} · {stream.viewer_count} watching · {stream.comment_count} comments
                </span>
              </a>
            </li>
          ))}
        </ul>
      </main>
      {starting && <GoLive close={() => setStarting(false)} go={go} />}
    </>
  );
}
