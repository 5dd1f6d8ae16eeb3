"""What one other gateway has told of its viewers, and whether that is everything."""

from gateway.fanout.sketch import Group
from schemas.pulse import PresenceMessage, StreamPresence


class Peer:
    """A copy of another gateway's crowds. `whole` is False while something is missing: then everything is asked for."""

    __slots__ = ("_building", "_seq", "seen", "streams", "whole")

    def __init__(self, now: float) -> None:
        #: When it was last heard, in seconds.
        self.seen = now
        self.whole = True
        #: stream -> (anonymous connections, people)
        self.streams: dict[str, tuple[int, Group]] = {}
        self._seq = 0
        self._building: dict[str, tuple[int, Group]] | None = None

    def take(self, message: PresenceMessage, now: float) -> set[str]:
        """Note a message; the streams of which something changed. One that was overtaken says nothing new."""
        if message.seq <= self._seq:
            return set()
        if message.seq != self._seq + 1:
            self.whole, self._building = False, None
        self._seq, self.seen = message.seq, now
        if message.begins:
            self._building = {}
        changed = {told.stream_id for told in message.streams if self._note(told)}
        if message.ends and self._building is not None:
            changed |= self.streams.keys() - self._building.keys()
            self.streams, self._building, self.whole = self._building, None, True
        return changed

    def _note(self, told: StreamPresence) -> bool:
        former = self.streams.get(told.stream_id)
        if not (told.anonymous or told.people):
            self.streams.pop(told.stream_id, None)
            if self._building is not None:
                self._building.pop(told.stream_id, None)
            return former is not None
        sample = told.sample
        if sample is None:
            sample = former[1].sample if former else b""
        noted = (told.anonymous, Group(told.people, sample))
        self.streams[told.stream_id] = noted
        if self._building is not None:
            self._building[told.stream_id] = noted
        return noted != former
