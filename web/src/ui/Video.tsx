import { useEffect, useRef, useState } from "react";

import { playback } from "../live/api";
import { attach } from "../live/player";
import { landed, playRecording, useWatching } from "../live/store";

const SYMBOL: Record<string, string> = { like: "👍", love: "❤️", haha: "😂", wow: "😮", sad: "😢", angry: "😠" };

/** The address on the origin of this page: the one in the answer may be another name of the same gateway. */
const here = (url: string) => new URL(url).pathname;

/** The player: hls.js where it runs, the browser's own HLS elsewhere; it waits for a playlist that is not there yet. */
export function Video({ id }: { id: string }) {
  const element = useRef<HTMLVideoElement>(null);
  const state = useWatching((now) => now.video);
  const privacy = useWatching((now) => now.stream?.privacy ?? "public");
  const bursts = useWatching((now) => now.bursts);
  const recording = useWatching((now) => now.recording);
  const [muted, setMuted] = useState(true);
  const [playing, setPlaying] = useState(false);
  const shown = state === "live" || state === "interrupted" || state === "ended";
  useEffect(() => {
    const video = element.current;
    if (video === null || !shown) return;
    return attach(video, async () => here((await playback(id)).hls_url));
    // Another privacy is another address.
  }, [id, shown, privacy]);
  return (
    <div className="player" data-state={state}>
      <video
        ref={element}
        data-testid="video"
        playsInline
        muted={muted}
        autoPlay
        controls={playing}
        onPlaying={() => setPlaying(true)}
        onVolumeChange={(event) => setMuted(event.currentTarget.muted)}
      />
      {playing && muted && state !== "ended" && (
        <button className="unmute" onClick={() => setMuted(false)}>
          🔇 Tap for sound
        </button>
      )}
      <Over state={state} playing={playing} />
      {recording && (
        <button className="primary offer" data-testid="watch-recording" onClick={playRecording}>
          Watch the recording
        </button>
      )}
      <div className="bursts" aria-hidden="true">
        {bursts.map((burst) => (
          <span
            key={burst.id}
            style={{ right: `${4 + (burst.id * 37) % 70}%`, animationDelay: `${(burst.id % 6) * 90}ms` }}
            onAnimationEnd={() => landed(burst.id)}
          >
            {SYMBOL[burst.type]}
          </span>
        ))}
      </div>
      {state === "live" && <span className="tag live">LIVE</span>}
    </div>
  );
}

function Over({ state, playing }: { state: string; playing: boolean }) {
  const text =
    state === "waiting"
      ? "Waiting for the broadcaster"
      : state === "interrupted"
        ? "The broadcast was interrupted. It may come back any moment."
        : state === "ended"
          ? "This stream has ended"
          : playing
            ? ""
            : "Loading";
  return text ? (
    <div className="over" role="status">
      {state !== "ended" && <span className="spinner" aria-hidden="true" />}
      {text}
    </div>
  ) : null;
}
