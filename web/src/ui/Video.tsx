import type Hls from "hls.js";
import { useEffect, useRef, useState } from "react";

import { landed, useWatching } from "../live/store";

const SYMBOL: Record<string, string> = { like: "👍", love: "❤️", haha: "😂", wow: "😮", sad: "😢", angry: "😠" };
const AGAIN_MS = 1_500;

/** The player: hls.js where it runs, the browser's own HLS elsewhere; it waits for a playlist that is not there yet. */
export function Video({ id }: { id: string }) {
  const element = useRef<HTMLVideoElement>(null);
  const state = useWatching((now) => now.video);
  const bursts = useWatching((now) => now.bursts);
  const [muted, setMuted] = useState(true);
  const [playing, setPlaying] = useState(false);
  const shown = state === "live" || state === "interrupted" || state === "ended";
  useEffect(() => {
    const video = element.current;
    if (video === null || !shown) return;
    return attach(video, `/hls/${id}/master.m3u8`);
  }, [id, shown]);
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

/** Play `url` in `video` until the returned function is called. */
function attach(video: HTMLVideoElement, url: string): () => void {
  let over = false;
  let player: Hls | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const retry = () => {
    player?.destroy();
    player = null;
    timer = setTimeout(() => void begin(), AGAIN_MS);
  };
  const begin = async () => {
    const there = await fetch(url, { method: "HEAD" }).then((answer) => answer.ok, () => false);
    const { default: Player } = await import("hls.js");
    if (over) return;
    if (!there) return retry();
    if (!Player.isSupported()) {
      video.src = url;
      return;
    }
    player = new Player({ liveSyncDurationCount: 2, maxLiveSyncPlaybackRate: 1.1, backBufferLength: 30 });
    player.on(Player.Events.ERROR, (_, error) => {
      if (!error.fatal) return;
      if (error.type === Player.ErrorTypes.MEDIA_ERROR) player?.recoverMediaError();
      else retry();
    });
    player.loadSource(url);
    player.attachMedia(video);
  };
  void begin();
  return () => {
    over = true;
    clearTimeout(timer);
    player?.destroy();
    video.removeAttribute("src");
  };
}
