import type Hls from "hls.js";

import { dateAt, firstVariant, read, type Mark } from "./marks";

export interface Player {
  /** The moment of the picture that is shown, in ms since the epoch; null while that is not known. */
  date(): number | null;
  release(): void;
}

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
  return {
    date: () => dateAt(marks, video.currentTime),
    release: () => {
      over = true;
      player?.destroy();
      player = null;
      video.removeAttribute("src");
    },
  };
}

async function fetched(url: string): Promise<Mark[]> {
  const text = async (from: string) => (await fetch(from)).text();
  const variant = firstVariant(await text(url), url);
  return variant === null ? [] : read(await text(variant));
}
