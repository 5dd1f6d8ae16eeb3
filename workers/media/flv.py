"""FLV tags (Adobe, "Video File Format Specification" 10.1, annex E): what RTMP carries and what ffmpeg is fed.

Inside the worker all pictures have the header that FLV gave H.264: kind of picture and codec, set-up or coded picture,
composition time. HEVC has number 12 there, as encoders before enhanced RTMP agreed on, and AV1 has 13.
"""

from typing import NamedTuple

AUDIO, VIDEO, SCRIPT = 8, 9, 18
AVC, HEVC, AV1 = 7, 12, 13
_AAC = 10
#: What a broadcaster calls them, and how enhanced RTMP does, without which ffmpeg does not read them.
NAMES = {AVC: "H.264", HEVC: "HEVC (H.265)", AV1: "AV1"}
_FOURCC = {HEVC: b"hvc1", AV1: b"av01"}
_KEYFRAME = 1


class Unsupported(Exception):
    """The encoder sends something that cannot become HLS here. The text says what to set in the encoder."""


class Tag(NamedTuple):
    """One tag: *type* audio (8), video (9) or script (18), *timestamp* in ms, *payload* its body."""

    type: int
    timestamp: int
    payload: bytes

    @property
    def is_header(self) -> bool:
        """A decoder's set-up (avcC, hvcC, av1C, AudioSpecificConfig) and no picture or sound."""
        return self.type in (AUDIO, VIDEO) and len(self.payload) > 1 and self.payload[1] == 0

    @property
    def is_keyframe(self) -> bool:
        """A picture that needs none before it."""
        return self.type == VIDEO and self.payload[0] >> 4 == _KEYFRAME and self.payload[1:2] == b"\x01"

    @property
    def presented(self) -> int:
        """When it is shown, in ms: later than *timestamp* where the encoder reorders pictures."""
        if self.type != VIDEO:
            return self.timestamp
        return self.timestamp + int.from_bytes(self.payload[2:5], "big", signed=True)

    def encode(self) -> bytes:
        """The tag as in a file, with its back pointer."""
        size, stamp = len(self.payload), self.timestamp & 0xFFFFFFFF
        head = (
            bytes((self.type,))
            + size.to_bytes(3, "big")
            + (stamp & 0xFFFFFF).to_bytes(3, "big")
            + bytes((stamp >> 24, 0, 0, 0))
        )
        return head + self.payload + (size + 11).to_bytes(4, "big")


def enhanced(tag: Tag) -> Tag:
    """*tag* as ffmpeg reads it: HEVC and AV1 behind the header of enhanced RTMP, v1, where AV1 has no composition times."""
    payload = tag.payload
    if tag.type != VIDEO or payload[0] & 0x0F == AVC:
        return tag
    fourcc = _FOURCC[payload[0] & 0x0F]
    head = bytes((0x80 | payload[0] & 0x70 | payload[1],)) + fourcc
    return tag._replace(payload=head + payload[2 if payload[1] and fourcc == b"hvc1" else 5 :])


def check(tag: Tag) -> None:
    """Refuse what the packaging cannot carry.

    Raises:
        Unsupported: pictures of another codec than `NAMES` has, or no AAC.
    """
    if tag.type == VIDEO and (tag.payload[0] & 0x80 or tag.payload[0] & 0x0F not in NAMES):
        msg = "This video is not taken: set the encoder to H.264 (x264, NVENC H.264, ...)."
        raise Unsupported(msg)
    if tag.type == AUDIO and tag.payload[0] >> 4 != _AAC:
        msg = "Only AAC audio is taken: set the encoder to AAC."
        raise Unsupported(msg)


class Preamble:
    """What a decoder must have seen before the first picture: kept to start ffmpeg anew in mid-stream."""

    def __init__(self) -> None:
        self._tags: dict[int, Tag] = {}
        self._rest = b""

    def note(self, tag: Tag) -> bool:
        """Keep *tag* if it is a header or metadata; tells whether a decoder's set-up changed by it."""
        if tag.type == SCRIPT:
            self._tags[SCRIPT] = tag
            return False
        if not tag.is_header:
            return False
        before = self._tags.get(tag.type)
        self._tags[tag.type] = tag
        changed = before is None or before.payload != tag.payload
        if changed and tag.type == VIDEO:
            self._rest = b""
        return changed

    def has(self, kind: int) -> bool:
        """Whether there is set-up for audio (8) or video (9)."""
        return kind in self._tags

    def metadata(self) -> bytes:
        """The body of the newest script tag; empty when there was none."""
        tag = self._tags.get(SCRIPT)
        return b"" if tag is None else tag.payload

    def header(self, kind: int) -> bytes | None:
        """The decoder's set-up for audio (8) or video (9), without what FLV puts before it."""
        tag = self._tags.get(kind)
        rest = self._rest if kind == VIDEO else b""
        return None if tag is None else tag.payload[5 if kind == VIDEO else 2 :] + rest

    def complete(self, rest: bytes) -> None:
        """Add to the set-up for video, until it changes, what the encoder sends with its keyframes only (librav1e does)."""
        self._rest = self._rest or rest

    @property
    def codec(self) -> int:
        """The pictures' codec; H.264 while there are none."""
        tag = self._tags.get(VIDEO)
        return AVC if tag is None else tag.payload[0] & 0x0F

    def encode(self, timestamp: int, *kinds: int) -> bytes:
        """File header and the set-up of *kinds*, as ffmpeg reads it, as if it came at *timestamp*.

        The header's flags are exact: ffmpeg waits up to 1 MB for a kind of stream that is announced and does not come.
        """
        flags = sum(flag for kind, flag in ((AUDIO, 4), (VIDEO, 1)) if kind in kinds and self.has(kind))
        out = b"FLV\x01" + bytes((flags,)) + (9).to_bytes(4, "big") + bytes(4)
        for kind in kinds:
            tag = self._tags.get(kind)
            if tag is not None:
                rest = self._rest if kind == VIDEO else b""
                out += enhanced(tag._replace(timestamp=timestamp, payload=tag.payload + rest)).encode()
        return out
