import { useWatching } from "../live/store";
import { useCountdown } from "./Comment";

/** How the connection is, and the proof: the position everything up to which was seen, in an unbroken chain. */
export function Connection() {
  const state = useWatching((now) => now.connection);
  const retryAt = useWatching((now) => now.retryAt);
  const seq = useWatching((now) => now.seq);
  const intact = useWatching((now) => now.intact);
  const left = useCountdown(retryAt);
  const text =
    state === "live"
      ? "in sync"
      : state === "catching-up"
        ? "catching up"
        : state === "connecting"
          ? "connecting"
          : left > 0
            ? `offline, again in ${left} s`
            : "offline";
  const proof =
    seq === null
      ? "Nothing received yet"
      : `Everything up to position ${seq} was received, in order, ${intact ? "without a gap" : "after a repaired gap"}`;
  return (
    <span className="connection" data-testid="connection" data-state={state} role="status" title={proof}>
      <span className="dot" aria-hidden="true" />
      {text}
      {state === "live" && seq !== null && seq > 0 && (
        <span className="proof" aria-label={proof}>
          {intact ? "⛓" : "⚠"} #{String(seq).slice(-6)}
        </span>
      )}
    </span>
  );
}
