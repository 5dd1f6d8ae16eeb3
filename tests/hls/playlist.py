"""A media playlist of HLS, low-latency or not (RFC 8216, draft-pantos-hls-rfc8216bis), read strictly.

Knows nothing of the code that writes it. What is wrong with its form is `faults`: `rule: what was found`, as in `rules`.
"""

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
#: What belongs in a multivariant playlist.
_FOREIGN = ("#EXT-X-STREAM-INF", "#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF")
#: The rule that is about a tag; `form` is about all others.
_RULE = {
    "#EXT-X-VERSION": "version",
    "#EXT-X-TARGETDURATION": "target",
    "#EXT-X-MEDIA-SEQUENCE": "sequence",
    "#EXT-X-DISCONTINUITY-SEQUENCE": "sequence",
    "#EXTINF": "extinf",
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

    version: int = 0
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
            faults.append(f"attributes: {match[1]} twice in {text}")
        found[match[1]] = match[2].strip('"')
        at = match.end()
    if at != len(text):
        faults.append(f"attributes: {text[at:]!r} is none")
    return found


def number(text: str, faults: list[str], rule: str = "form") -> float:
    """Read a decimal floating point, which has no sign and no exponent."""
    if not _NUMBER.fullmatch(text):
        faults.append(f"{rule}: {text!r} is no number")
        return 0.0
    return float(text)


def lines_of(raw: bytes, foreign: tuple[str, ...], faults: list[str]) -> list[str]:
    """The lines of a playlist of either kind; *foreign* is what the other kind's begin with."""
    text = raw.decode("utf-8", "replace")
    if "\ufffd" in text or text.startswith("\ufeff") or re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", text):
        faults.append("text: not clean UTF-8")
    if not text.startswith("#EXTM3U\n") or not text.endswith("\n"):
        faults.append("text: does not begin with #EXTM3U and end with a line break")
    found = [line for line in text.split("\n") if line]
    faults += [f"kind: {line}" for line in found if line.startswith(foreign)]
    return found


def read(raw: bytes) -> Media:
    """Read a media playlist."""
    reader = _Reader()
    for line in lines_of(raw, _FOREIGN, reader.media.faults):
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
            rule = _RULE.get(tag, "form")
            if tag in self._seen:
                faults.append(f"{rule}: {tag} twice")
            if self.media.segments or self._parts:
                faults.append(f"{rule}: {tag} after a segment")
            self._seen.add(tag)
            self._head(tag, value)
        elif tag in _REST:
            self._rest(tag, value)
        elif not line.startswith(_FOREIGN):
            faults.append(f"form: {tag} is no tag of a media playlist")

    def _head(self, tag: str, value: str) -> None:
        media = self.media
        rule = _RULE.get(tag, "form")
        match tag:
            case "#EXT-X-VERSION":
                media.version = int(number(value, media.faults, rule))
            case "#EXT-X-TARGETDURATION":
                media.target = int(number(value, media.faults, rule))
            case "#EXT-X-MEDIA-SEQUENCE":
                media.sequence = int(number(value, media.faults, rule))
            case "#EXT-X-DISCONTINUITY-SEQUENCE":
                media.discontinuity_sequence = self._discontinuity = int(number(value, media.faults, rule))
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
                if media.ended:
                    media.faults.append("endlist: more than one")
                media.ended = True
            case _:
                if tag in self._pending:
                    media.faults.append(f"{_RULE.get(tag, 'form')}: {tag} twice for one segment")
                self._pending[tag] = value

    def _segment(self, uri: str) -> None:
        if "#EXTINF" not in self._pending:
            self.media.faults.append(f"extinf: none for {uri}")
        self.media.segments.append(self._make(uri))
        self._pending, self._parts = {}, []

    def _make(self, uri: str) -> Segment:
        pending, media = self._pending, self.media
        stamp = pending.get("#EXT-X-PROGRAM-DATE-TIME")
        if stamp is not None and not _DATE.fullmatch(stamp):
            media.faults.append(f"date: {stamp} is none")
            stamp = None
        return Segment(
            msn=media.sequence + media.skipped + len(media.segments),
            discontinuity=self._discontinuity,
            map_uri=self._map,
            uri=uri,
            duration=number(pending.get("#EXTINF", "0,").partition(",")[0], media.faults, "extinf"),
            date=datetime.fromisoformat(stamp).timestamp() if stamp else None,
            gap="#EXT-X-GAP" in pending,
            parts=tuple(self._parts),
        )

    def end(self) -> Media:
        """All lines were read."""
        if "#EXTINF" in self._pending:
            self.media.faults.append("extinf: the last one has no segment")
        if self._parts or self._pending:
            self.media.coming = self._make("")
        return self.media
