"""How fast one ffmpeg makes its renditions: the measure by which one that is too slow is given up, and its metrics."""

from collections.abc import Sequence

from infra.telemetry import metrics

#: Seconds between two measurements: ffmpeg hands out pictures in bursts.
EVERY_S = 5.0


class Speed:
    """Of one ffmpeg, from the picture of *at_ms* on, which it is given at *now*."""

    def __init__(self, heights: Sequence[int], at_ms: int, now: float) -> None:
        self.produced_ms = at_ms
        self._made = dict.fromkeys(heights, at_ms)
        # What it takes to start says nothing of its speed: nothing is measured before it has made something.
        self._begun = False
        self._before = dict(self._made)
        self._since = now

    def made(self, height: int, timestamp: int) -> None:
        """A picture of *height* came out."""
        self._made[height] = max(self._made[height], timestamp)
        self.produced_ms = max(self.produced_ms, timestamp)

    def behind_ms(self, fed_ms: int) -> int:
        """How much of what it was given has not come out."""
        return fed_ms - self.produced_ms

    def measure(self, fed_ms: int, now: float) -> bool:
        """Tell the metrics, every `EVERY_S`; tells whether it did."""
        elapsed = now - self._since
        if elapsed < EVERY_S:
            return False
        if self._begun:
            for height, made in self._made.items():
                metrics.ENCODER_SPEED.labels(f"{height}p").observe((made - self._before[height]) / 1000 / elapsed)
            metrics.TRANSCODER_LAG.observe(max(0, self.behind_ms(fed_ms)) / 1000)
        self._begun = self.produced_ms > min(self._before.values())
        self._before, self._since = dict(self._made), now
        return True
