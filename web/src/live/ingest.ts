/** An encoder in one line. */

import type { StreamIngest } from "../generated";

export function summary(ingest: StreamIngest): string {
  if (ingest.state === "away") return "Your encoder is not connected.";
  const parts = [
    ingest.encoder,
    ingest.width && ingest.height ? `${ingest.width}×${ingest.height}` : null,
    ingest.frame_rate ? `${Math.round(ingest.frame_rate * 100) / 100} pictures per second` : null,
    ingest.bit_rate ? `${(ingest.bit_rate / 1e6).toFixed(1)} Mbit/s` : null,
    ingest.transport === "rtmps" ? "encrypted" : null,
  ].filter((part): part is string => part !== null && part !== undefined && part !== "");
  return parts.length === 0 ? "Your encoder is connected." : `Your encoder: ${parts.join(" · ")}`;
}
