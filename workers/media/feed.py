"""One publisher's media: pure decisions about where a generation begins and where the encoder's clock breaks."""

from enum import Enum, auto

from workers.media.cmaf import av1
from workers.media.flv import AUDIO, AV1, SCRIPT, VIDEO, Preamble, Tag, check
from workers.media.timeline import Timeline

#: Media time without a picture after which sound alone is published.
SOUND_ALONE_MS = 2000


class Move(Enum):
    """What to do with a tag."""

    SKIP = auto()  # nothing: it was kept, or nothing can be made of it before a keyframe
    CARRY = auto()  # hand it to the running generation
    BEGIN = auto()  # begin a generation with it
    STOP = auto()  # finish the running generation; the tag continues nothing


class Feed:
    """Keeps what a later start needs: the decoders' set-up and the timeline."""

    def __init__(self) -> None:
        self.preamble = Preamble()
        self.timeline = Timeline()
        self._renew = True
        self._running = False
        self._heard_ms: int | None = None

    def take(self, tag: Tag, now_ms: int, longest_hole_ms: int) -> Move:
        """Decide on *tag*, which arrived at *now_ms* wall time; a hole over *longest_hole_ms* is a new clock.

        Raises:
            Unsupported: a codec that is not taken.
        """
        if tag.type in (AUDIO, VIDEO):
            check(tag)
        if self.preamble.note(tag):
            # A changed set-up needs a new initialisation segment, from the keyframe that follows it.
            self._renew = True
        if tag.type == SCRIPT or tag.is_header:
            return Move.SKIP
        lead = VIDEO if self.preamble.has(VIDEO) else AUDIO
        if not self.preamble.has(tag.type):
            return Move.SKIP
        # Sound may pause (push to talk, DTX) without anything being wrong while pictures flow.
        broke = tag.type == lead and self.timeline.breaks(tag.timestamp, longest_hole_ms)
        if broke:
            self.timeline = Timeline()
            self._renew = True
            self._heard_ms = None
        self.timeline.observe(tag.timestamp, tag.presented, now_ms, leads=tag.type == lead)
        if self._renew and self._may_begin(tag):
            self._renew = False
            self._running = True
            if tag.type == VIDEO and self.preamble.codec == AV1:
                self.preamble.complete(av1.missing(self.preamble.header(VIDEO) or b"", tag.payload[5:]))
            return Move.BEGIN
        if broke and self._running:
            self._running = False
            return Move.STOP
        return Move.CARRY if self._running else Move.SKIP

    def _may_begin(self, tag: Tag) -> bool:
        if tag.type == VIDEO:
            return tag.is_keyframe
        if self._heard_ms is None:
            self._heard_ms = tag.timestamp
        return not self.preamble.has(VIDEO) and tag.timestamp - self._heard_ms >= SOUND_ALONE_MS
