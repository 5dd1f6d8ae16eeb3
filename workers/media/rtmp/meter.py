"""What one publisher sends, against what it may: bits, messages and the pace of its clock. Pure; the time comes in."""

from workers.media.rtmp.errors import Refused
from workers.media.rtmp.limits import Limits

#: A step of the media clock above this is a jump and no progress.
_JUMP_MS = 5000


class Meter:
    """Counts in windows that follow each other; a window that is overfull is refused before it ends."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._since = now
        self._bytes = 0
        self._messages = 0
        self._paced_since = now
        self._gained_ms = 0
        self._last_ms: int | None = None

    def count(self, size: int, messages: int, now: float) -> None:
        """*size* bytes arrived at *now* (monotonic seconds) and *messages* were whole.

        Raises:
            Refused: it is more than is taken.
        """
        limits = self._limits
        elapsed = now - self._since
        if elapsed >= limits.rate_s:
            self._since, self._bytes, self._messages, elapsed = now, 0, 0, 0.0
        self._bytes += size
        self._messages += messages
        if self._bytes * 8 > limits.bit_rate * limits.rate_s:
            rate = self._bytes * 8 / max(elapsed, 0.1) / 1e6
            msg = (
                f"The encoder sends {rate:.0f} Mbit/s; this server takes {limits.bit_rate / 1e6:g}. "
                "Lower the bit rate in the encoder."
            )
            raise Refused("bit_rate", msg)
        if self._messages > limits.messages * limits.rate_s:
            msg = f"The encoder sends more than {limits.messages} messages per second, which no broadcast needs."
            raise Refused("messages", msg)

    def advance(self, timestamp: int, now: float) -> None:
        """Media of *timestamp* (ms) arrived at *now*.

        Raises:
            Refused: the media clock has been far slower than the wall clock for `pace_s`.
        """
        if self._last_ms is not None and 0 < timestamp - self._last_ms <= _JUMP_MS:
            self._gained_ms += timestamp - self._last_ms
        if self._last_ms is None or timestamp > self._last_ms or self._last_ms - timestamp > _JUMP_MS:
            self._last_ms = timestamp
        elapsed = now - self._paced_since
        if elapsed < self._limits.pace_s:
            return
        if self._gained_ms < elapsed * 1000 * self._limits.pace:
            msg = (
                f"In {elapsed:.0f} s only {self._gained_ms / 1000:.0f} s of video arrived: the line is too slow. "
                "Lower the bit rate in the encoder."
            )
            raise Refused("slow", msg)
        self._paced_since, self._gained_ms = now, 0
