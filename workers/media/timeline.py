"""One encoder's clock against ours: when, on the wall, the media time zero was.

ffmpeg's own EXT-X-PROGRAM-DATE-TIME is early by its start-up delay (431 ms with 1 s segments, 1430 ms with 2 s), so the
date of each segment is counted from here: the least (arrival - media time) seen before the first segment is published,
and frozen then. A date that moved while it was refined made players jump.
"""

#: A timestamp this far behind the one before it is a new clock, not jitter.
BACKWARDS_MS = 1000


class Timeline:
    """One unbroken run of timestamps."""

    def __init__(self) -> None:
        self._zero: int | None = None
        self._frozen = False
        self._last: int | None = None

    def breaks(self, timestamp: int, most_ms: int) -> bool:
        """Tell whether *timestamp* does not continue this timeline: it is backwards, or after a hole over *most_ms*."""
        return self._last is not None and not self._last - BACKWARDS_MS <= timestamp <= self._last + most_ms

    def observe(self, timestamp: int, shown: int, now_ms: int, *, leads: bool) -> None:
        """Media of *timestamp*, shown at *shown*, arrived at *now_ms* wall time; *leads*: of the kind `breaks` asks about.

        An encoder that reorders pictures sends each before it is shown, and none before it was seen by the camera.
        """
        if leads:
            self._last = timestamp
        if not self._frozen:
            zero = now_ms - shown
            self._zero = zero if self._zero is None else min(self._zero, zero)

    def freeze(self, start_ms: int, not_before_ms: int) -> None:
        """Settle the date: media time *start_ms* is published first and may not lie before *not_before_ms*."""
        if not self._frozen:
            self._frozen = True
            self._zero = max(self._zero or 0, not_before_ms - start_ms)

    def date_ms(self, media_ms: float) -> int:
        """The wall time of *media_ms*, in whole milliseconds."""
        return (self._zero or 0) + round(media_ms)
