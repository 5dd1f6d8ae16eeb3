"""The live viewers of one stream, by what they get: who goes into which lane, and what each roll is written."""

from collections.abc import Sequence
from itertools import chain

from gateway.fanout.lane import Lane, LaneKey, Roll
from gateway.fanout.pulse import News
from gateway.fanout.viewer import Viewer
from gateway.fanout.window import Window
from infra.clock import Clock

#: Never silent for more than 15 s; checked every second.
HEARTBEAT_S = 10.0


class Lanes:
    """Made as viewers need them, and let go of when they are empty."""

    __slots__ = ("_by_key", "_clock", "_sampled")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_key: dict[LaneKey, Lane] = {}
        self._sampled = False

    def add(self, viewer: Viewer) -> None:
        """Make *viewer* live, from the next flush on."""
        key = LaneKey(viewer.wire, viewer.gzip, viewer.comments_only, viewer.cohort if self._sampled else None)
        lane = self._by_key.get(key)
        if lane is None:
            lane = self._by_key[key] = Lane(key, self._clock.monotonic())
        lane.add(viewer)

    def sample(self, sampled: bool) -> None:  # noqa: FBT001 - what it is from now on
        """Move everyone when sampling begins or ends: with cohorts, or without. Only between two flushes."""
        if self._sampled == sampled:
            return
        self._sampled = sampled
        lanes, self._by_key = self._by_key, {}
        for viewer in chain.from_iterable(lanes.values()):
            self.add(viewer)

    def bytes_for(self, window: Window | None, news: Sequence[News], now: float) -> list[tuple[Roll, bytes]]:
        """What each roll is to be written for *window* and the *news* of the pulse (each may be missing)."""
        pulse = {wire: b"".join(wire.event(*each) for each in news) for wire in {key.wire for key in self._by_key}}
        rolls: list[tuple[Roll, bytes]] = []
        for key, lane in self._by_key.items():
            extra = b"" if key.comments_only else pulse[key.wire]
            if (window is not None or extra) and len(lane):
                rolls += lane.bytes_for(window, extra, now)
        return rolls

    def beats(self, now: float) -> list[tuple[Roll, bytes]]:
        """Once a second: heartbeats for those to whom nothing was written lately. Epochs that are over end, and empty lanes."""
        beats: list[tuple[Roll, bytes]] = []
        for key, lane in list(self._by_key.items()):
            lane.rest(now)
            if not len(lane):
                del self._by_key[key]
            elif key.wire.HEARTBEAT and now - lane.last_write >= HEARTBEAT_S:
                beats += lane.bytes_for(None, key.wire.HEARTBEAT, now)
        return beats
