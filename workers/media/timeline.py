"""One encoder's clock against ours: when, on the wall, the media time zero was.

ffmpeg's own EXT-X-PROGRAM-DATE-TIME is early by its start-up delay (431 ms with 1 s segments, 1430 ms with 2 s), so the
date of each segment is counted from here: the least (arrival - media time) seen before the first segment is published.
A date that jumped while it was refined made players jump, so that from then on it follows what is seen slowly: down by 3 ms
per second (what arrives earlier than it can have been made was dated too late), up by 0.2 ms (an encoder whose clock goes
slow is off by less, 200 ppm; a line that is full looks the same, and passes).
"""

from collections import deque

#: A timestamp this far behind the one before it is a new clock, not jitter.
BACKWARDS_MS = 1000
#: How long the least is taken over, in windows of so many ms.
WINDOW_MS, WINDOWS = 5_000, 6
#: Steps towards it, in ms per second of media, and what is nothing but jitter.
DOWN, UP, STILL_MS = 3.0, 0.2, 20


class Timeline:
    """One unbroken run of timestamps."""

    def __init__(self) -> None:
        self._zero: float | None = None
        self._frozen = False
        #: (window, the least of it), the newest last.
        self._least: deque[tuple[int, int]] = deque(maxlen=WINDOWS)
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
        zero = now_ms - shown
        window = timestamp // WINDOW_MS
        if not self._least or self._least[-1][0] != window:
            self._least.append((window, zero))
        elif zero < self._least[-1][1]:
            self._least[-1] = window, zero
        if not self._frozen:
            self._zero = zero if self._zero is None else min(self._zero, zero)

    def freeze(self, start_ms: int, not_before_ms: int) -> None:
        """Settle the date: media time *start_ms* is published first and may not lie before *not_before_ms*."""
        if not self._frozen:
            self._frozen = True
            self._zero = max(self._zero or 0, not_before_ms - start_ms)

    def follow(self, media_ms: float) -> None:
        """*media_ms* more of media are dated from now on."""
        if self._zero is None or not self._least:
            return
        error = min(zero for _, zero in self._least) - self._zero
        if error < -STILL_MS:
            self._zero -= min(-error, DOWN * media_ms / 1000)
        elif error > STILL_MS:
            self._zero += min(error, UP * media_ms / 1000)

    def date_ms(self, media_ms: float) -> int:
        """The wall time of *media_ms*, in whole milliseconds."""
        return round((self._zero or 0) + media_ms)
