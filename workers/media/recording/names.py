"""One name per recorded segment says all that a playlist of it needs: the listing of a recording is its index.

In the home: `{stream_id}/recording/{rendition}/{msn:010}-{generation}-{discontinuity}-{date_ms}-{duration_ms}.m4s`, beside the
`init-{generation}.mp4` of its generation. A worker of an older generation cannot overwrite anything of its successor.
"""

import re

from msgspec import Struct

_SEGMENT = re.compile(r"([0-9]{10,12})-([0-9]{1,19})-([0-9]{1,19})-([0-9]{1,15})-([0-9]{1,9})\.m4s")
_OPENED = re.compile(r"([0-9]{10,12})-([0-9]{1,19})-([0-9]{1,19})-([0-9]{1,15})\.open")
_INIT = re.compile(r"init-([0-9]{1,19})\.mp4")
#: What is written once, at the end, beside the renditions' folders.
PLAYLIST = "index.m3u8"
MASTER = "master.m3u8"
MP4 = "recording.mp4"
POSTER = "poster.jpg"
STRIP = "strip.jpg"
CUES = "strip.vtt"
#: The folder of the strip of what is live, beside the recording's.
LIVE_STRIP = "strip"
LIVE_CUES = "index.vtt"


class Segment(Struct, frozen=True, kw_only=True):
    """One recorded segment: when it was shown (*date_ms*, wall time) and for how long; *msn* is its number in the playlist."""

    msn: int
    generation: int
    discontinuity: int
    date_ms: int
    duration_ms: int = 0

    @property
    def name(self) -> str:
        """Its name once it is complete."""
        return f"{self._head}-{self.duration_ms}.m4s"

    @property
    def opened(self) -> str:
        """Its name while it is being filled; never in the home."""
        return f"{self._head}.open"

    @property
    def end_ms(self) -> int:
        """Wall time at which it ends."""
        return self.date_ms + self.duration_ms

    @property
    def _head(self) -> str:
        return f"{self.msn:010}-{self.generation}-{self.discontinuity}-{self.date_ms}"


def segment(name: str) -> Segment | None:
    """Read the name of a complete segment, or of one that is being filled; `None` where it is neither."""
    found = _SEGMENT.fullmatch(name) or _OPENED.fullmatch(name)
    if found is None:
        return None
    msn, generation, discontinuity, date_ms, *rest = (int(word) for word in found.groups())
    return Segment(
        msn=msn, generation=generation, discontinuity=discontinuity, date_ms=date_ms, duration_ms=rest[0] if rest else 0
    )


def init(generation: int) -> str:
    """The name of a generation's initialisation segment."""
    return f"init-{generation}.mp4"


def generation(name: str) -> int | None:
    """The generation that *name* is the initialisation segment of; `None` where it is none."""
    found = _INIT.fullmatch(name)
    return int(found[1]) if found else None


def recording(stream_id: str, *words: str) -> str:
    """The object's name of something in a stream's recording."""
    return "/".join((stream_id, "recording", *words))
