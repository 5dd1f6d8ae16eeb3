import type Hls from "hls.js";

import { dateAt, firstVariant, read, type Mark } from "./marks";

export interface Player {
  /** The moment of the picture that is shown, in ms since the epoch; null while that is not known. */
  date(): number | null;
  release(): void;
}

/** The picture may be behind the player's clock, where it cannot draw them all; further than this, it has not been drawn yet. */
const BEHIND_S = 1;

/** Play a recording: hls.js where it runs, the browser's own HLS elsewhere. */
export function play(video: HTMLVideoElement, url: string): Player {
  let over = false;
  let player: Hls | null = null;
  let marks: readonly Mark[] = [];
  const begin = async () => {
    const { default: Player } = await import("hls.js");
    if (over) return;
    if (!Player.isSupported()) {
      video.src = url;
      // It does not say what moment it shows: the playlist does.
      marks = await fetched(new URL(url, location.href).href).catch(() => []);
      return;
    }
    player = new Player({ backBufferLength: 60 });
    player.on(Player.Events.LEVEL_UPDATED, (_, { details }) => (marks = details.fragments));
    player.on(Player.Events.LEVEL_LOADED, (_, { details }) => (marks = details.fragments));
    player.on(Player.Events.ERROR, (_, error) => {
      if (!error.fatal) return;
      video.dataset["errors"] = String(Number(video.dataset["errors"] ?? 0) + 1);
      if (error.type === Player.ErrorTypes.MEDIA_ERROR) player?.recoverMediaError();
      else setTimeout(() => player?.startLoad(), 1_500);
    });
    player.loadSource(url);
    player.attachMedia(video);
  };
  void begin();
  const picture = watch(video);
  return {
    date: () => dateAt(marks, picture.time()),
    release: () => {
      over = true;
      picture.release();
      player?.destroy();
      player = null;
      video.removeAttribute("src");
    },
  };
}

/** The time of the picture that is on the screen, which on a busy machine is not the player's. */
function watch(video: HTMLVideoElement): { time(): number; release(): void } {
  let drawn = NaN;
  let next: number | null = null;
  // Older browsers cannot say which picture they show: there the player's clock has to do.
  if ("requestVideoFrameCallback" in video) {
    next = video.requestVideoFrameCallback(function note(_, { mediaTime }) {
      drawn = mediaTime;
      next = video.requestVideoFrameCallback(note);
    });
  }
  return {
    // At the end what was said during the last picture is due as well.
    time: () => (!video.ended && Math.abs(video.currentTime - drawn) < BEHIND_S ? drawn : video.currentTime),
    release: () => {
      if (next !== null) video.cancelVideoFrameCallback(next);
    },
  };
}

async function fetched(url: string): Promise<Mark[]> {
  const text = async (from: string) => (await fetch(from)).text();
  const variant = firstVariant(await text(url), url);
  return variant === null ? [] : read(await text(variant));
}
