"""What a stream has left: files of its live video, and in the home of recordings what is kept."""

from gateway.hls.place import Place
from gateway.hls.reply import FOREVER, Reply
from infra.errors import Missing
from infra.objects.contract import ObjectStore

#: A segment fits many times; a whole recording is not read into memory (`films.py`).
MAX_FILE = 64 * 1024**2
#: A playlist of what is over is written once. A cache may keep it for a minute, so that one written again, by a worker that
#: took over from one that died while writing, is soon everybody's.
LISTED = "public, max-age=60"
#: The newest picture is replaced while the stream is live.
PICTURE = "public, max-age=10"


class Files:
    """*live* is the folder that media workers write; it is not everywhere where *home* is."""

    def __init__(self, live: ObjectStore, home: ObjectStore) -> None:
        self._live = live
        self._home = home

    async def read(self, place: Place) -> Reply | None:
        """The file a place names, if it is there.

        Raises:
            Unavailable: whether it is cannot be told.
        """
        home = self._home if place.is_kept else self._live
        try:
            body = await home.read(place.name, 0, MAX_FILE + 1)
        except Missing:
            return None
        return Reply(200, body, place.suffix, _cache(place)) if len(body) <= MAX_FILE else None


def _cache(place: Place) -> str:
    if not place.is_kept:
        return "no-cache" if place.is_playlist else FOREVER
    if place.is_playlist:
        return LISTED
    return PICTURE if place.is_replaced else FOREVER
