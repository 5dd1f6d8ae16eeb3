import { useState } from "react";

import { REACTIONS, type ReactionType } from "../live/contract";
import { react, useWatching } from "../live/store";

const SYMBOL: Record<ReactionType, string> = { like: "👍", love: "❤️", haha: "😂", wow: "😮", sad: "😢", angry: "😠" };

/** Taps: counted, not attributed, no undo. */
export function Reactions() {
  const totals = useWatching((now) => now.totals);
  const ended = useWatching((now) => now.ended);
  const [tapped, setTapped] = useState("");
  const tap = async (type: ReactionType) => {
    setTapped(type);
    setTimeout(() => setTapped(""), 200);
    await react(type);
  };
  return (
    <div className="reactions" role="group" aria-label="Reactions">
      {REACTIONS.map((type) => (
        <button
          key={type}
          data-testid={`reaction-${type}`}
          className={tapped === type ? "tapped" : ""}
          disabled={ended}
          aria-label={`${type}, ${totals[type] ?? 0} so far`}
          onClick={() => void tap(type)}
        >
          <span aria-hidden="true">{SYMBOL[type]}</span>
          <span data-testid={`reaction-total-${type}`}>{short(totals[type] ?? 0)}</span>
        </button>
      ))}
    </div>
  );
}

function short(count: number): string {
  return count < 10_000 ? String(count) : `${Math.floor(count / 1000)}k`;
}
