"""What an address below `/hls/` names: a stream, a file's name in it, and how far its playlist must have come."""

import re

from msgspec import Struct

from schemas.streamid import is_stream_id

#: RFC 8216, section 4 and 10: the playlists' own type; CMAF segments are MP4.
TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt; charset=utf-8",
}
#: Every part is a plain name, so that nothing outside a stream's folder can be named.
_PATH = re.compile(
    r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}/){0,2}[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}(\.m3u8|\.m4s|\.mp4|\.jpg|\.vtt)"
)
#: RFC 8216bis, 6.2.5: delivery directives; every other parameter is somebody else's.
_DIRECTIVE = re.compile(r"(?:^|&)_HLS_(msn|part|skip)=([^&]*)")
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
#: What all directives that make no sense are for the worker, which says so: no two of them are different questions.
_SENSELESS = "_HLS_msn=none"

#: The newest picture of a stream, and the strip of what was live so far: the objects that are replaced.
POSTER = "poster.jpg"
STRIP = "strip/index.vtt"


class Place(Struct, frozen=True):
    """`query` has the delivery directives in one order, and nothing else: equal places have equal answers."""

    stream_id: str
    path: str
    suffix: str
    query: str = ""
    #: Whether a playlist is wanted that may not be there yet.
    blocks: bool = False
    #: Whether only what is new of a playlist is wanted.
    skips: bool = False

    @property
    def is_playlist(self) -> bool:
        """Everything else never changes once it is there."""
        return self.suffix == ".m3u8"

    @property
    def is_kept(self) -> bool:
        """Whether it is kept with the recordings; everything else is the live video's."""
        return self.path.startswith(("recording/", "strip/")) or self.path == POSTER

    @property
    def is_replaced(self) -> bool:
        """Whether it is a picture of what is live, or names one: another one soon."""
        return self.path in (POSTER, STRIP)

    @property
    def is_film(self) -> bool:
        """Whether it is a whole recording in one file, of any size."""
        return self.suffix == ".mp4" and self.path.startswith("recording/") and self.path.count("/") == 1

    @property
    def name(self) -> str:
        """What it is called as an object."""
        return f"{self.stream_id}/{self.path}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What the answer depends on."""
        return self.stream_id, self.path, self.query

    @property
    def whole(self) -> "Place":
        """The same playlist, with nothing skipped."""
        query = "&".join(each for each in self.query.split("&") if not each.startswith("_HLS_skip="))
        return Place(self.stream_id, self.path, self.suffix, query, blocks=self.blocks)

    @property
    def plain(self) -> "Place":
        """The playlist as it is now."""
        return Place(self.stream_id, self.path, self.suffix)


def place(stream_id: str, path: str, query: str) -> Place | None:
    """What is named; `None` when it cannot be anything of ours."""
    match = _PATH.fullmatch(path)
    if match is None or not is_stream_id(stream_id):
        return None
    suffix = match[1]
    if suffix != ".m3u8" or "_HLS_" not in query:
        return Place(stream_id, path, suffix)
    ordered = _ordered(_DIRECTIVE.findall(query))
    return Place(stream_id, path, suffix, ordered, blocks="_HLS_msn=" in ordered, skips="_HLS_skip=" in ordered)


def _ordered(directives: list[tuple[str, str]]) -> str:
    """The directives of a query in one order; a `_HLS_skip` that is no word of the RFC's asks for nothing."""
    given = dict(directives)
    numbers = [value for name, value in given.items() if name != "skip"]
    if len(given) < len(directives) or not all(_NUMBER.fullmatch(each) for each in numbers):
        return _SENSELESS
    if given.get("skip") not in ("YES", "v2"):
        given.pop("skip", None)
    return "&".join(f"_HLS_{name}={given[name]}" for name in ("msn", "part", "skip") if name in given)
