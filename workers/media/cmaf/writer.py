"""Tags to parts: the muxer. One picture is held back, because only the next one tells how long it lasts."""

from typing import NamedTuple

from workers.media.cmaf.edges import Edge, Edges
from workers.media.cmaf.fragment import Sample, fragment
from workers.media.cmaf.setup import PICTURES, SOUNDS, Setup
from workers.media.cmaf.sounds import Sounds
from workers.media.flv import VIDEO, Tag

#: What a picture lasts when no other tells (one alone, at the end of a run).
_ALONE_MS = 40


class Part(NamedTuple):
    """One chunk.

    *segment* counts within the run; *start_ms* is when it is shown, on the encoder's clock; *independent*: begins with a
    keyframe; *opens* and *closes* its segment; *pictures* in it; *data*: moof and mdat.
    """

    segment: int
    start_ms: int
    duration_ms: int
    independent: bool
    opens: bool
    closes: bool
    pictures: int
    data: bytes


class Writer:
    """One rendition in one run. Fed with the tags of coded pictures and sound, in order."""

    def __init__(self, setup: Setup, edges: Edges) -> None:
        self._edges = edges
        self._pictured = setup.picture is not None
        self._sounds = Sounds(setup.sound) if setup.sound is not None else None
        self._held: Sample | None = None
        self._pictures: list[Sample] = []
        self._sequence = 0
        self._begun = False
        self._opens = True
        self._start = 0
        self._shift = 0

    def take(self, tag: Tag) -> list[Part]:
        """Take the next tag and return the parts that are complete now (at most two)."""
        if tag.type == VIDEO:
            return self._picture(tag) if self._pictured and tag.payload[1:2] == b"\x01" else []
        if self._sounds is None or tag.payload[1:2] != b"\x01":
            return []
        sample = self._sounds.add(tag.timestamp, tag.payload[2:])
        return [] if self._pictured or sample is None else self._lead(self._sounds.ms(sample.decode))

    def flush(self) -> list[Part]:
        """The rest, at the end of the run."""
        if not self._begun:
            return []
        if not self._pictured:
            return self._finish_sound()
        if self._held is None:
            return []
        before = self._pictures[-1].duration if self._pictures else _ALONE_MS
        self._pictures.append(self._held._replace(duration=before))
        end = self._held.decode + before
        self._held = None
        return [self._cut(end, Edge.SEGMENT, None)]

    def _picture(self, tag: Tag) -> list[Part]:
        at, shift = tag.timestamp, tag.presented - tag.timestamp
        held, data, key = self._held, tag.payload[5:], tag.is_keyframe
        if held is None:
            if self._edges.begins(at, at + shift, key=key):
                self._begun = True
                self._start, self._shift = at, shift
                self._held = Sample(at, 0, shift, key, data)
            return []
        if at <= held.decode:
            # Two pictures never have one time; when it is shown stays as it was.
            at, shift = held.decode + 1, at + shift - held.decode - 1
        self._pictures.append(held._replace(duration=at - held.decode))
        self._held = Sample(at, 0, shift, key, data)
        parts = []
        if len(self._pictures) > 1 and (edge := self._edges.bursts(at)) is not Edge.NONE:
            late = self._pictures.pop()
            parts.append(self._part(late.decode, edge))
            self._pictures.append(late)
        edge = self._edges.before(at, at + shift, key=key)
        if edge is not Edge.NONE:
            parts.append(self._part(at, edge))
        return parts

    def _lead(self, at: int) -> list[Part]:
        """Sound alone: a frame that begins at *at* has been added."""
        if not self._begun:
            self._begun = self._edges.begins(at, at, key=True)
            self._start = at
            return []
        edge = self._edges.before(at, at, key=True)
        return [] if edge is Edge.NONE else [self._part(at, edge)]

    def _finish_sound(self) -> list[Part]:
        sounds = self._sounds.until(None) if self._sounds is not None else []
        if self._sounds is None or not sounds:
            return []
        end = self._sounds.ms(sounds[-1].decode + sounds[-1].duration)
        return [self._make(end, Edge.SEGMENT, [], sounds)]

    def _part(self, end: int, edge: Edge) -> Part:
        part = self._cut(end, edge, end)
        self._edges.cut(end, edge)
        return part

    def _cut(self, end: int, edge: Edge, sounds_until: int | None) -> Part:
        sounds: list[Sample] = []
        if self._sounds is not None:
            until = None if sounds_until is None else self._sounds.ticks(sounds_until)
            # What was heard before the run's first picture is shown belongs to no part.
            start = self._sounds.ticks(self._start + self._shift) if self._sequence == 0 else 0
            sounds = self._sounds.until(until, start)
        pictures, self._pictures = self._pictures, []
        return self._make(end, edge, pictures, sounds)

    def _make(self, end: int, edge: Edge, pictures: list[Sample], sounds: list[Sample]) -> Part:
        self._sequence += 1
        part = Part(
            segment=self._edges.segment,
            start_ms=self._start + self._shift,
            duration_ms=end - self._start,
            # Sound alone is always decodable; where there are pictures, a part without a keyframe first is not.
            independent=pictures[0].key if pictures else not self._pictured,
            opens=self._opens,
            closes=edge is Edge.SEGMENT,
            pictures=len(pictures),
            data=fragment(self._sequence, ((PICTURES, pictures), (SOUNDS, sounds))),
        )
        self._opens = part.closes
        self._start = end
        return part
