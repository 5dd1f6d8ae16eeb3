import type Hls from "hls.js";
import type { HlsConfig } from "hls.js";

import { Margin, pace } from "./catchup";

/** How long the page waits before it looks again for a playlist, or begins anew after an error that nothing else mends. */
const AGAIN_MS = 1_500;
/** So many recoveries without playing in between, and the player is made anew. */
const RECOVERIES = 3;
/** How often the pace is looked at: `timeupdate` comes four times a second, and the buffer may last for less. */
const LOOK_MS = 100;

/** An encoder may be away for half a minute and a worker for ten seconds: nothing that may come back is given up. */
const patient = { maxNumRetry: 1_000, retryDelayMs: 500, maxRetryDelayMs: 2_000, backoff: "linear" } as const;
const soon = { maxNumRetry: 1_000, retryDelayMs: 0, maxRetryDelayMs: 0 } as const;

/** A playback address of a stream that is not public. */
const SIGNED = /\/hls\/[^/]+\/~/;

export const CONFIG: Partial<HlsConfig> = {
  lowLatencyMode: true,
  // The pace is ours, see catchup.ts.
  maxLiveSyncPlaybackRate: 1,
  // An interrupted broadcast stalls every viewer; by default each stall is a second of latency more, for good. See Margin.
  liveSyncOnStallIncrease: 0,
  // By default whatever ends 0.25 s later counts as played: the last part of a segment is left out when the next segment has begun.
  maxFragLookUpTolerance: 0.05,
  // Less than a second is buffered: a line that narrows has to be noticed within it, not within three or nine.
  abrEwmaFastLive: 0.5,
  abrEwmaSlowLive: 3,
  backBufferLength: 30,
  manifestLoadPolicy: { default: { maxTimeToFirstByteMs: 10_000, maxLoadTimeMs: 20_000, timeoutRetry: soon, errorRetry: patient } },
  playlistLoadPolicy: { default: { maxTimeToFirstByteMs: 10_000, maxLoadTimeMs: 20_000, timeoutRetry: soon, errorRetry: patient } },
  fragLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: 10_000,
      maxLoadTimeMs: 60_000,
      timeoutRetry: { maxNumRetry: 4, retryDelayMs: 0, maxRetryDelayMs: 0 },
      errorRetry: { maxNumRetry: 6, retryDelayMs: 300, maxRetryDelayMs: 2_000 },
    },
  },
};

/**
 * Play in `video` what `address` says, until the returned function is called: hls.js where it runs, the browser's own HLS elsewhere.
 * It waits for a playlist that is not there yet, and asks for the address again where the one it has holds no longer. `data-errors` of the element counts what the player could not mend by itself.
 */
export function attach(video: HTMLVideoElement, address: () => Promise<string>): () => void {
  let over = false;
  let player: Hls | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let recoveries = 0;
  let part = 0;
  const margin = new Margin();
  const again = () => {
    player?.destroy();
    player = null;
    recoveries = 0;
    timer = setTimeout(() => void begin(), AGAIN_MS);
  };
  const recover = (mediaIsBroken: boolean) => {
    video.dataset["errors"] = String(Number(video.dataset["errors"] ?? 0) + 1);
    recoveries += 1;
    if (recoveries > RECOVERIES) again();
    else if (mediaIsBroken) player?.recoverMediaError();
    else timer = setTimeout(() => player?.startLoad(), AGAIN_MS);
  };
  const played = () => {
    recoveries = 0;
  };
  const keepUp = () => {
    const details = player?.latestLevelDetails;
    // While it changes to another quality there are none, and the buffer runs dry all the same.
    if (details) part = details.live ? details.partTarget : 0;
    if (!player || !part || video.paused) return;
    const { buffered, currentTime } = video;
    const ahead = buffered.length ? buffered.end(buffered.length - 1) - currentTime : 0;
    margin.note({ ahead, part }, video.readyState > video.HAVE_CURRENT_DATA, performance.now() / 1000);
    const target = (player.targetLatency ?? player.latency) + margin.seconds;
    const rate = pace({ latency: player.latency, target, ahead, part });
    if (video.playbackRate !== rate) video.playbackRate = rate;
  };
  const begin = async () => {
    const url = await address().catch(() => null);
    const there =
      url !== null &&
      (await fetch(url, { method: "HEAD" }).then(
        (answer) => answer.ok,
        () => false,
      ));
    const { default: Player } = await import("hls.js");
    if (over) return;
    if (!there) return again();
    if (!Player.isSupported()) {
      video.src = url;
      return;
    }
    player = new Player(CONFIG);
    player.on(Player.Events.ERROR, (_, error) => {
      // The address has ended, or the video is no longer this viewer's. hls.js would ask for the same playlist for ever.
      const refused = error.response?.code === 404 && SIGNED.test(url);
      if (refused && (error.fatal || error.details === Player.ErrorDetails.LEVEL_LOAD_ERROR)) again();
      else if (error.fatal) recover(error.type === Player.ErrorTypes.MEDIA_ERROR);
    });
    player.loadSource(url);
    player.attachMedia(video);
  };
  video.addEventListener("playing", played);
  const looking = setInterval(keepUp, LOOK_MS);
  void begin();
  return () => {
    over = true;
    clearTimeout(timer);
    player?.destroy();
    video.removeEventListener("playing", played);
    clearInterval(looking);
    video.removeAttribute("src");
  };
}
