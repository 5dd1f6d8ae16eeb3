"""What gateways ask the worker for: `/origin/{stream_id}/...`, on the internal port.

Playlists wait for what they are asked to contain, hinted parts until they are there (RFC 8216bis, 6.2.5.2 and 6.2.6). The
answers carry the caching headers that viewers and CDNs are to get.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs

from infra.telemetry.answers import Answer
from workers.media.broadcast import Broadcast
from workers.media.publication import Publication
from workers.media.rendition import Impossible, Late, Rendition
from workers.media.shelf import INDEX
from workers.media.variants import MASTER

PREFIX = "/origin/"
PLAYLIST, MEDIA = "application/vnd.apple.mpegurl", "video/mp4"
FOREVER = "public, max-age=31536000, immutable"
#: A playlist that waited for its contents is one of a kind: a cache between answers all who ask for it at once. No player may
#: keep it: video.js asks for the last part of each segment twice, and would stand still for as long as it had kept the answer.
BLOCKED = "public, max-age=0, s-maxage=1"
FRESH = "no-cache"
#: Requests that wait at once, over all streams; gateways join equal ones, so each is a different wait.
MOST_WAITING = 2000
#: 6.2.5.2: a wait ends after three target durations.
_TARGETS = 3


class Origin:
    """Answers for the streams in *broadcasts*."""

    def __init__(self, broadcasts: Mapping[str, Broadcast]) -> None:
        self._broadcasts = broadcasts
        self._waiting = 0

    async def answer(self, path: str, query: str) -> Answer:
        """The answer to `GET path?query`."""
        words = path.removeprefix(PREFIX).split("/")
        broadcast = self._broadcasts.get(words[0])
        if broadcast is None:
            return Answer(404, "application/json", b'{"owner": null}', FRESH)
        publication = broadcast.publication
        match words[1:]:
            case [name] if name == MASTER:
                text = publication.variants.text()
                return _missing() if text is None else Answer(200, PLAYLIST, text, FRESH)
            case [rendition, name]:
                found = publication.find(rendition)
                return _missing() if found is None else await self._of(publication, found, name, query)
            case _:
                return _missing()

    async def _of(self, publication: Publication, rendition: Rendition, name: str, query: str) -> Answer:
        try:
            if name == INDEX:
                return await self._playlist(publication, rendition, query)
            data = rendition.held(name)
            if data is None and name.startswith("part-"):
                async with _Waiting(self):
                    data = await rendition.hinted(name, _patience(rendition))
        except Late:
            return Answer(503, "text/plain", b"it did not come in time\n", FRESH, retry_after=1)
        except Impossible as error:
            return Answer(400, "text/plain", f"{error}\n".encode(), FRESH)
        if data is None:
            data = await publication.read(rendition.name, name)
        return _missing() if data is None else Answer(200, MEDIA, data, FOREVER)

    async def _playlist(self, publication: Publication, rendition: Rendition, query: str) -> Answer:
        msn, part, skip = _directives(query)
        if msn is not None:
            async with _Waiting(self):
                await rendition.reaches(msn, part, _patience(rendition))
        text = publication.text(rendition, skip=skip)
        return Answer(200, PLAYLIST, text, FRESH if msn is None else BLOCKED)


class _Waiting:
    """One of the requests that wait."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    async def __aenter__(self) -> None:
        if self._origin._waiting >= MOST_WAITING:  # noqa: SLF001 - the two are one part, in two classes
            raise Late
        self._origin._waiting += 1  # noqa: SLF001 - as above

    async def __aexit__(self, *_: object) -> None:
        self._origin._waiting -= 1  # noqa: SLF001 - as above


def _missing() -> Answer:
    return Answer(404, "text/plain", b"there is no such file, or not any more\n", FRESH)


def _patience(rendition: Rendition) -> float:
    return float(_TARGETS * rendition.playlist.target)


def _directives(query: str) -> tuple[int | None, int | None, bool]:
    """Delivery directives (6.2.5).

    Raises:
        Impossible: they make no sense.
    """
    given = {name: values for name, values in parse_qs(query, keep_blank_values=True).items() if name.startswith("_HLS_")}
    if any(len(values) > 1 for values in given.values()):
        msg = "a directive is given twice"
        raise Impossible(msg)
    numbers: list[int | None] = []
    for name in ("_HLS_msn", "_HLS_part"):
        text = given.get(name, [None])[0]
        if text is not None and not (text.isascii() and text.isdecimal() and len(text) < 16):
            msg = f"{name} is no number"
            raise Impossible(msg)
        numbers.append(None if text is None else int(text))
    msn, part = numbers
    if part is not None and msn is None:
        msg = "_HLS_part without _HLS_msn"
        raise Impossible(msg)
    skip = given.get("_HLS_skip", ["NO"])[0]
    return msn, part, skip in ("YES", "v2")
