"""Answers kept in memory, bounded in bytes: what was asked for the longest ago goes first."""

from collections import OrderedDict

from gateway.hls.place import Place
from gateway.hls.reply import Reply
from infra.clock import Clock
from infra.telemetry import metrics


class Shelf:
    """At most *limit* bytes; an answer larger than a quarter of it is not kept."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._kept: OrderedDict[tuple[str, str, str], tuple[Reply, float, int]] = OrderedDict()
        self.bytes = 0

    def get(self, place: Place) -> Reply | None:
        """The answer, if it is here and still good."""
        found = self._kept.get(place.key)
        if found is None:
            return None
        reply, until, _ = found
        if until <= self._clock.monotonic():
            self.drop(place)
            return None
        self._kept.move_to_end(place.key)
        return reply

    def put(self, place: Place, reply: Reply, seconds: float) -> None:
        """Keep *reply* for so long, or until there is no room."""
        # A playlist may be compressed later, to less than half of it.
        size = reply.size + (len(reply.body) // 2 if place.is_playlist else 0)
        if size * 4 > self._limit:
            return
        self.drop(place)
        self._kept[place.key] = reply, self._clock.monotonic() + seconds, size
        self.bytes += size
        while self.bytes > self._limit:
            _, (_, _, freed) = self._kept.popitem(last=False)
            self.bytes -= freed
        metrics.HLS_CACHE.set(self.bytes)

    def drop(self, place: Place) -> None:
        """Forget an answer."""
        found = self._kept.pop(place.key, None)
        if found is not None:
            self.bytes -= found[2]
