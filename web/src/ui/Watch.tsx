import { useEffect } from "react";

import * as api from "../live/api";
import { useWatching, watch } from "../live/store";
import type { Go } from "./App";
import { Chat } from "./Chat";
import { Circle, Self } from "./Circle";
import { Header } from "./Header";
import { Ingest } from "./Ingest";
import { Reactions } from "./Reactions";
import { Recorded } from "./Recorded";
import { Video } from "./Video";

/** One stream: video on the left, its audience on the right; below each other on a phone. */
export function Watch({ id, go }: { id: string; go: Go }) {
  useEffect(() => watch(id), [id]);
  const stream = useWatching((now) => now.stream);
  const missing = useWatching((now) => now.missing);
  const viewers = useWatching((now) => now.viewers);
  const approximate = useWatching((now) => now.approximate);
  const recording = useWatching((now) => now.recording);
  const replaying = useWatching((now) => now.replaying);
  useEffect(() => {
    document.title = stream ? `${stream.title} · Ovation` : "Ovation";
  }, [stream]);
  if (missing) {
    return (
      <>
        <Header go={go} />
        <main className="home empty">
          <h1>This stream is not here</h1>
          <p className="muted">It may have been removed, or it is not for everyone.</p>
          <Self />
          <button className="primary" onClick={() => go("/?all")}>
            See what is live
          </button>
        </main>
      </>
    );
  }
  return (
    <div className="page">
      <Header go={go} />
      <main className="watch">
        <section className="stage" aria-label="Video">
          {recording && replaying ? <Recorded id={id} recording={recording} /> : <Video id={id} />}
          <div className="about">
            <div>
              <h1>{stream?.title ?? " "}</h1>
              <p className="muted">
                {stream?.broadcaster.name}
                {viewers !== null && (
                  <span className="viewers" data-testid="viewer-count">
                    <span aria-hidden="true">●</span> {approximate && "about "}
                    {viewers.toLocaleString()} watching
                  </span>
                )}
              </p>
            </div>
            <Reactions />
          </div>
          {stream && <Circle stream={stream} />}
          {stream && api.session()?.user.id === stream.broadcaster.id && <Ingest id={id} />}
          {stream?.description && <p className="description">{stream.description}</p>}
        </section>
        <Chat />
      </main>
    </div>
  );
}
