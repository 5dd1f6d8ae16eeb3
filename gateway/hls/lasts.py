"""The last whole playlist of every rendition: what players are shown while nobody makes a newer one."""

from collections import OrderedDict

from gateway.hls.place import Place
from gateway.hls.reply import Reply

#: Playlists of a few kB each; a stream has one per rendition and the multivariant one.
MAX_LASTS = 4096


class Lasts:
    """At most `MAX_LASTS`; the one that changed the longest ago goes first."""

    def __init__(self) -> None:
        self._lasts: OrderedDict[tuple[str, str], Reply] = OrderedDict()

    def put(self, place: Place, body: bytes) -> None:
        """Take note of a playlist; nobody may keep it, since it is only shown when its time is over."""
        name = place.stream_id, place.path
        self._lasts[name] = Reply(200, body, place.suffix, "no-cache")
        self._lasts.move_to_end(name)
        if len(self._lasts) > MAX_LASTS:
            self._lasts.popitem(last=False)

    def get(self, place: Place) -> Reply | None:
        """The last one."""
        return self._lasts.get((place.stream_id, place.path))
