import { useEffect, useRef, useState } from "react";

import type { Recording } from "../live/contract";
import { play } from "../live/recorded";
import { replay } from "../live/store";

const SPEEDS = [0.5, 1, 1.25, 1.5, 2];

/** The recording of a stream that has ended; the chat follows what it shows. */
export function Recorded({ id, recording }: { id: string; recording: Recording }) {
  const element = useRef<HTMLVideoElement>(null);
  const [speed, setSpeed] = useState(1);
  useEffect(() => {
    const video = element.current;
    if (video === null) return;
    const player = play(video, recording.hls_url);
    const stop = replay(id, { date: player.date, rate: () => video.playbackRate, paused: () => video.paused });
    return () => {
      stop();
      player.release();
    };
  }, [id, recording.hls_url]);
  useEffect(() => {
    if (element.current) element.current.playbackRate = speed;
  }, [speed]);
  return (
    <>
      <div className="player" data-state="recorded">
        <video
          ref={element}
          data-testid="video"
          playsInline
          controls
          autoPlay
          muted
          poster={recording.poster_url ?? undefined}
          onRateChange={(event) => setSpeed(event.currentTarget.playbackRate)}
        />
      </div>
      <div className="reel muted">
        <label>
          Speed{" "}
          <select data-testid="speed" value={speed} onChange={(event) => setSpeed(Number(event.target.value))}>
            {[...new Set([...SPEEDS, speed])].map((each) => (
              <option key={each} value={each}>
                {each}×
              </option>
            ))}
          </select>
        </label>
        {recording.mp4_url && (
          <a data-testid="download" href={recording.mp4_url} download>
            Download the video
          </a>
        )}
      </div>
    </>
  );
}
