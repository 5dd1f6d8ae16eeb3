"""A media playlist of Low-Latency HLS (draft-pantos-hls-rfc8216bis), read strictly; what is wrong with its form is `faults`."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,|$)')
_NUMBER = re.compile(r"\d+(\.\d+)?")
_HEAD = {
    *("#EXTM3U", "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF"),
    *("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-PLAYLIST-TYPE"),
}
_REST = {
    *("#EXTINF", "#EXT-X-PART", "#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP"),
    *("#EXT-X-SKIP", "#EXT-X-PRELOAD-HINT", "#EXT-X-RENDITION-REPORT", "#EXT-X-ENDLIST", "#EXT-X-BITRATE"),
}


@dataclass(frozen=True)
class Part:
    """One `EXT-X-PART`."""

    uri: str
    duration: float
    independent: bool = False
    gap: bool = False


@dataclass(frozen=True)
class Segment:
    """A segment, or (`uri` empty) what there is of the one being made."""

    msn: int
    discontinuity: int
    map_uri: str
    uri: str = ""
    duration: float = 0.0
    date: float | None = None
    gap: bool = False
    parts: tuple[Part, ...] = ()

    @property
    def without_parts(self) -> "Segment":
        """What of it has to stay; parts may go when it is old."""
        return replace(self, parts=())


@dataclass
class Media:
    """A media playlist."""

    target: int = 0
    part_target: float = 0.0
    sequence: int = 0
    discontinuity_sequence: int = 0
    skipped: int = 0
    ended: bool = False
    independent: bool = False
    control: dict[str, str] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    coming: Segment | None = None
    hints: list[dict[str, str]] = field(default_factory=list)
    reports: list[dict[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def edge(self) -> tuple[int, int]:
        """(msn, part) of the newest part; of a whole segment its last part, or -1 where it lists none."""
        if self.coming is not None and self.coming.parts:
            return self.coming.msn, len(self.coming.parts) - 1
        if not self.segments:
            return self.sequence - 1, -1
        return self.segments[-1].msn, len(self.segments[-1].parts) - 1

    @property
    def next(self) -> tuple[int, int]:
        """(msn, part) of what comes next."""
        if self.coming is not None:
            return self.coming.msn, len(self.coming.parts)
        return self.sequence + self.skipped + len(self.segments), 0

    @property
    def all(self) -> list[Segment]:
        """Whole segments and the one being made."""
        return [*self.segments, *([self.coming] if self.coming else [])]


def attributes(text: str, faults: list[str]) -> dict[str, str]:
    """Read an attribute list; strings without their quotes."""
    found: dict[str, str] = {}
    at = 0
    while match := _ATTRIBUTE.match(text, at):
        if match[1] in found:
            faults.append(f"form: {match[1]} twice in {text}")
        found[match[1]] = match[2].strip('"')
        at = match.end()
    if at != len(text):
        faults.append(f"form: {text[at:]!r} is no attribute")
    return found


def number(text: str, faults: list[str]) -> float:
    """Read a decimal floating point, which has no sign and no exponent."""
    if not _NUMBER.fullmatch(text):
        faults.append(f"form: {text!r} is no number")
        return 0.0
    return float(text)


def read(raw: bytes) -> Media:
    """Read a media playlist."""
    reader = _Reader()
    lines = raw.decode().split("\n")
    if lines[0] != "#EXTM3U" or lines[-1]:
        reader.media.faults.append("form: does not begin with #EXTM3U and end with a line break")
    for line in filter(None, lines):
        reader.line(line)
    return reader.end()


class _Reader:
    def __init__(self) -> None:
        self.media = Media()
        self._seen: set[str] = set()
        self._map = ""
        self._discontinuity = 0
        self._pending: dict[str, str] = {}
        self._parts: list[Part] = []

    def line(self, line: str) -> None:
        """One line."""
        faults = self.media.faults
        if not line.startswith("#"):
            self._segment(line)
            return
        if not line.startswith("#EXT"):
            return
        tag, _, value = line.partition(":")
        if tag in _HEAD:
            if tag in self._seen:
                faults.append(f"form: {tag} twice")
            if self.media.segments or self._parts:
                faults.append(f"form: {tag} after a segment")
            self._seen.add(tag)
            self._head(tag, value)
        elif tag in _REST:
            self._rest(tag, value)
        else:
            faults.append(f"form: {tag} is no tag of a media playlist")

    def _head(self, tag: str, value: str) -> None:
        media = self.media
        match tag:
            case "#EXT-X-TARGETDURATION":
                media.target = int(number(value, media.faults))
            case "#EXT-X-MEDIA-SEQUENCE":
                media.sequence = int(number(value, media.faults))
            case "#EXT-X-DISCONTINUITY-SEQUENCE":
                media.discontinuity_sequence = self._discontinuity = int(number(value, media.faults))
            case "#EXT-X-PART-INF":
                media.part_target = number(attributes(value, media.faults).get("PART-TARGET", ""), media.faults)
            case "#EXT-X-SERVER-CONTROL":
                media.control = attributes(value, media.faults)
            case "#EXT-X-INDEPENDENT-SEGMENTS":
                media.independent = True

    def _rest(self, tag: str, value: str) -> None:
        media = self.media
        match tag:
            case "#EXT-X-DISCONTINUITY":
                self._discontinuity += 1
            case "#EXT-X-MAP":
                self._map = attributes(value, media.faults).get("URI", "")
            case "#EXT-X-PART":
                found = attributes(value, media.faults)
                duration = number(found.get("DURATION", ""), media.faults)
                self._parts.append(
                    Part(found.get("URI", ""), duration, found.get("INDEPENDENT") == "YES", found.get("GAP") == "YES")
                )
            case "#EXT-X-SKIP":
                media.skipped = int(number(attributes(value, media.faults).get("SKIPPED-SEGMENTS", ""), media.faults))
            case "#EXT-X-PRELOAD-HINT":
                media.hints.append(attributes(value, media.faults))
            case "#EXT-X-RENDITION-REPORT":
                media.reports.append(attributes(value, media.faults))
            case "#EXT-X-ENDLIST":
                media.ended = True
            case _:
                if tag in self._pending:
                    media.faults.append(f"form: {tag} twice for one segment")
                self._pending[tag] = value

    def _segment(self, uri: str) -> None:
        if "#EXTINF" not in self._pending:
            self.media.faults.append(f"form: no EXTINF for {uri}")
        self.media.segments.append(self._make(uri))
        self._pending, self._parts = {}, []

    def _make(self, uri: str) -> Segment:
        pending, media = self._pending, self.media
        stamp = pending.get("#EXT-X-PROGRAM-DATE-TIME")
        if stamp is not None and not _DATE.fullmatch(stamp):
            media.faults.append(f"form: {stamp} is no date")
            stamp = None
        return Segment(
            msn=media.sequence + media.skipped + len(media.segments),
            discontinuity=self._discontinuity,
            map_uri=self._map,
            uri=uri,
            duration=number(pending.get("#EXTINF", "0,").partition(",")[0], media.faults),
            date=datetime.fromisoformat(stamp).timestamp() if stamp else None,
            gap="#EXT-X-GAP" in pending,
            parts=tuple(self._parts),
        )

    def end(self) -> Media:
        """All lines were read."""
        if "#EXTINF" in self._pending:
            self.media.faults.append("form: an EXTINF without its segment")
        if self._parts or self._pending:
            self.media.coming = self._make("")
        return self.media
