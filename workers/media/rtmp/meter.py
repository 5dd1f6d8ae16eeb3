"""What one publisher sends, against what it may: bits, messages and the pace of its clock. The time comes in."""

from infra.telemetry import metrics
from workers.media.rtmp.errors import Refused
from workers.media.rtmp.limits import Limits

#: A step of the media clock above this is a jump and no progress.
_JUMP_MS = 5000
#: Of the bit rate that is taken: above it over a whole window, the broadcaster is told before it is cut.
_NEAR = 0.8


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
        self._warned = False

    def count(self, size: int, messages: int, now: float) -> str | None:
        """*size* bytes arrived at *now* (monotonic seconds) and *messages* were whole.

        Returns what to tell the broadcaster, once, when it is near to what is taken.

        Raises:
            Refused: it is more than is taken.
        """
        limits = self._limits
        elapsed, advice = now - self._since, None
        if elapsed >= limits.rate_s:
            advice = self._measure(self._bytes * 8 / elapsed)
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
        return advice

    def _measure(self, rate: float) -> str | None:
        metrics.INGEST_RATE.observe(rate / 1e6)
        most = self._limits.bit_rate
        if self._warned or rate <= most * _NEAR:
            return None
        self._warned = True
        return (
            f"The encoder sends {rate / 1e6:.1f} Mbit/s; above {most / 1e6:g} this server ends the broadcast. "
            "Lower the bit rate in the encoder."
        )

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
