"""When media came and when its parts could be fetched, for the metrics: late frames, late parts, and the delay in between."""

from collections import deque

from infra.telemetry import metrics
from workers.media.cmaf.writer import Part
from workers.media.flv import AUDIO, VIDEO, Tag

#: A picture that comes this much later than the quickest of the last minutes is late: players hold back 600 ms.
LATE_FRAME_MS = 500
#: A part that can be fetched this much later after the one before it than it lasts is late.
LATE_PART_MS = 100
#: The quickest arrival is that of the running and the last window: an encoder's clock drifts by 0.2 s in an hour.
_WINDOW_MS = 60_000
#: Arrivals kept for parts that FFmpeg still makes: 8 s of 60 pictures per second.
_ARRIVALS = 512

_FRAMES = {AUDIO: metrics.INGEST_FRAMES.labels("audio"), VIDEO: metrics.INGEST_FRAMES.labels("video")}


class Punctuality:
    """One generation's. *lead* is the kind of tag that parts are cut by."""

    def __init__(self, lead: int) -> None:
        self._lead = lead
        self._shift: int | None = None
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_ARRIVALS)
        self._quickest: float | None = None
        self._quickest_before: float | None = None
        self._window_ms = 0
        self._shown: dict[str, float] = {}

    def arrived(self, tag: Tag, now: float) -> None:
        """*tag* came at *now* (monotonic seconds)."""
        frames = _FRAMES.get(tag.type)
        if frames is not None:
            frames.inc()
        if tag.type != self._lead:
            return
        if self._shift is None:
            self._shift, self._window_ms = tag.presented - tag.timestamp, tag.timestamp
        self._arrivals.append((tag.timestamp, now))
        took = now * 1000 - tag.timestamp
        if tag.timestamp - self._window_ms > _WINDOW_MS:
            self._window_ms = tag.timestamp
            self._quickest, self._quickest_before = None, self._quickest
        self._quickest = took if self._quickest is None else min(self._quickest, took)
        quickest = self._quickest if self._quickest_before is None else min(self._quickest, self._quickest_before)
        if took - quickest > LATE_FRAME_MS:
            metrics.INGEST_LATE.inc()

    def shown(self, name: str, part: Part, now: float) -> None:
        """*part* of rendition *name* can be fetched at *now*."""
        before, self._shown[name] = self._shown.get(name), now
        if before is not None and (now - before) * 1000 > part.duration_ms + LATE_PART_MS:
            metrics.PARTS_LATE.labels(name).inc()
        end_ms = part.start_ms + part.duration_ms - (self._shift or 0)
        for timestamp, arrival in reversed(self._arrivals):
            if timestamp < end_ms:
                metrics.PART_DELAY.labels(name).observe(now - arrival)
                return
