"""AAC frames on a clock of their own.

FLV rounds their times to milliseconds, which would make gaps and overlaps of a few samples between frames; so the clock
counts samples and looks at FLV's times only to notice that it is far off: an encoder that pauses its sound, or whose clocks
drift apart.
"""

from collections import deque

from workers.media.cmaf.aac import Sound
from workers.media.cmaf.fragment import Sample

#: Off by this many seconds, the clock follows the encoder's.
FAR_S = 0.1
#: Frames kept while no picture comes: 21 s at 48 kHz. Past it the oldest go.
MOST = 1000


class Sounds:
    """What waits for the part it belongs to."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self._next: int | None = None
        self._waiting: deque[Sample] = deque(maxlen=MOST)

    def add(self, timestamp_ms: int, data: bytes) -> Sample | None:
        """Take the next frame; `None` when it lies where sound already is."""
        claimed = (timestamp_ms * self._sound.rate + 500) // 1000
        at = claimed if self._next is None else self._next
        if claimed - at > FAR_S * self._sound.rate:
            at = claimed
        elif at - claimed > FAR_S * self._sound.rate:
            return None
        sample = Sample(at, self._sound.frame, 0, key=True, data=data)
        self._next = at + self._sound.frame
        self._waiting.append(sample)
        return sample

    def ms(self, ticks: int) -> int:
        """*ticks* in whole milliseconds."""
        return (ticks * 1000 + self._sound.rate // 2) // self._sound.rate

    def ticks(self, ms: int) -> int:
        """The first tick at or after *ms*."""
        return -(-ms * self._sound.rate // 1000)

    def until(self, end: int | None, start: int = 0) -> list[Sample]:
        """Take what begins before *end* (ticks; `None`: all) out; what ended by *start* is dropped.

        Frames of one part follow each other without a hole: where the encoder paused, the last one before lasts longer.
        """
        taken: list[Sample] = []
        while self._waiting and (end is None or self._waiting[0].decode < end):
            sample = self._waiting.popleft()
            if sample.decode + sample.duration <= start:
                continue
            if taken and sample.decode != taken[-1].decode + taken[-1].duration:
                taken[-1] = taken[-1]._replace(duration=sample.decode - taken[-1].decode)
            taken.append(sample)
        return taken
