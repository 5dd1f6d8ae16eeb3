"""The strip of a stream that is live: small pictures of all that was shown so far, fewer of each stretch as it grows. Pure."""

from workers.media.recording.pictures import MOST

#: A new picture is taken this long after the one before, twice as long each time that the strip is full; or a little sooner,
#: as they are not made to the second.
EVERY_MS, SOONER_MS = 30_000, 5_000


class Strip:
    """At most `MOST` pictures of some 5 kB each, evenly in time."""

    def __init__(self) -> None:
        self._tiles: list[tuple[int, bytes]] = []
        self._every_ms = EVERY_MS

    def take(self, at_ms: int, tile: bytes) -> bool:
        """Take a JPEG that was shown at *at_ms*; false where it is too soon for another one."""
        if self._tiles and at_ms < self._tiles[-1][0] + self._every_ms - SOONER_MS:
            return False
        self._tiles.append((at_ms, tile))
        if len(self._tiles) > MOST:
            # The first stays, and the newest: there is one more than an even number.
            self._tiles = self._tiles[::2]
            self._every_ms *= 2
        return True

    @property
    def tiles(self) -> list[bytes]:
        """The pictures, oldest first."""
        return [tile for _, tile in self._tiles]

    @property
    def begins_ms(self) -> int:
        """When the first was shown."""
        return self._tiles[0][0]

    def stretches(self, until_ms: int) -> list[tuple[int, int]]:
        """For how long each is shown, in ms from the first on; the last until *until_ms*."""
        begins = [at_ms - self.begins_ms for at_ms, _ in self._tiles]
        return list(zip(begins, [*begins[1:], max(until_ms - self.begins_ms, begins[-1] + 1)], strict=True))
