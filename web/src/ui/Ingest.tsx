import { useEffect, useState } from "react";

import type { StreamIngest } from "../generated";
import * as api from "../live/api";
import { summary } from "../live/ingest";
import { useWatching } from "../live/store";

const EVERY_MS = 10_000;

/** What the server takes of the broadcaster's encoder, and what it should be set otherwise; for the broadcaster alone. */
export function Ingest({ id }: { id: string }) {
  const [ingest, setIngest] = useState<StreamIngest | null>(null);
  const video = useWatching((now) => now.video);
  useEffect(() => {
    if (video === "ended") {
      setIngest(null);
      return;
    }
    let gone = false;
    const ask = () => {
      api.ingest(id).then(
        (found) => gone || setIngest(found),
        // What was known stays until somebody answers.
        () => undefined,
      );
    };
    ask();
    const timer = setInterval(ask, EVERY_MS);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [id, video]);
  if (ingest === null) return null;
  return (
    <div className="ingest" data-testid="ingest">
      <p className="muted">{summary(ingest)}</p>
      {ingest.warnings.map((each) => (
        <p key={each.about} role="status">
          ⚠️ {each.text}
        </p>
      ))}
    </div>
  );
}
