"""What common encoders say over RTMP, byte for byte, and the messages it means.

Two are recordings (`tests/recordings`): FFmpeg and GStreamer, each published to a file at the same time, which is what is
expected. The others are written after what is publicly known of the encoder, by a writer that shares no code with the
reader under test: OBS after its copy of librtmp, FMLE after Adobe's specification, a phone after how mobile encoders
behave (clocks that count from the start of the device, large chunks).
"""

import base64
import json
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

RECORDINGS = Path(__file__).parent / "recordings"
KEY = "018bcfe5-6800-7bb6-bc13-d949c5118ce2_correct-horse"

AVC_HEADER = b"\x17\x00\x00\x00\x00" + bytes.fromhex("0142c00dffe1000467420042010001ee")
AAC_HEADER = b"\xaf\x00\x11\x90"


class Said(NamedTuple):
    """One media message that is meant: type, milliseconds, the body of the FLV tag."""

    type: int
    timestamp: int
    payload: bytes


class Dialogue(NamedTuple):
    """All bytes an encoder sends, handshake included, and the media messages they carry."""

    name: str
    raw: bytes
    media: list[Said]


def keyframe(size: int) -> bytes:
    """A keyframe of *size* bytes."""
    return b"\x17\x01\x00\x00\x00" + bytes(n * 7 & 0xFF for n in range(size - 5))


def picture(size: int, shift: int = 0) -> bytes:
    """Another picture, shown *shift* ms after it is sent."""
    return b"\x27\x01" + shift.to_bytes(3, "big", signed=True) + bytes(n * 5 & 0xFF for n in range(size - 5))


def sound(size: int) -> bytes:
    """A frame of AAC."""
    return b"\xaf\x01" + bytes(n * 3 & 0xFF for n in range(size - 2))


def text(value: str) -> bytes:
    """A string as an AMF0 value."""
    return b"\x02" + struct.pack(">H", len(value)) + value.encode()


def number(value: float) -> bytes:
    """A number as an AMF0 value."""
    return b"\x00" + struct.pack(">d", value)


def pairs(marker: bytes, **fields: str | float) -> bytes:
    """An AMF0 object (or ECMA array, whose marker has a count) of strings and numbers."""
    out = marker
    for name, value in fields.items():
        out += struct.pack(">H", len(name)) + name.encode() + (text(value) if isinstance(value, str) else number(value))
    return out + b"\x00\x00\x09"


METADATA = pairs(
    b"\x08\x00\x00\x00\x14", duration=0.0, width=1280.0, height=720.0, videocodecid=7.0, encoder="obs-output module"
)


class Librtmp:
    """How librtmp writes, after OBS's copy of it (`RTMP_SendPacket`): the shortest header its rules allow.

    Times are deltas to the message before on the same chunk stream, of whatever type; a step back is an unsigned delta just
    below 2^32, with an extended timestamp that continuation chunks repeat.
    """

    def __init__(self, chunk_size: int) -> None:
        self.chunk_size = chunk_size
        self._before: dict[int, tuple[int, int, int, int]] = {}

    def write(
        self, channel: int, kind: int, payload: bytes, timestamp: int = 0, stream: int = 0, *, large: bool = False
    ) -> bytes:
        """One message."""
        before = self._before.get(channel)
        form, delta = 0, timestamp
        if before is not None and not large:
            size, old_kind, old_time, old_delta = before
            form, delta = 1, (timestamp - old_time) & 0xFFFFFFFF
            if (size, old_kind) == (len(payload), kind):
                form = 3 if delta == old_delta else 2
        self._before[channel] = (len(payload), kind, timestamp, delta)
        header = min(delta, 0xFFFFFF).to_bytes(3, "big") + len(payload).to_bytes(3, "big") + bytes((kind,))
        header += stream.to_bytes(4, "little")
        extended = delta.to_bytes(4, "big") if delta >= 0xFFFFFF else b""
        out = bytes((form << 6 | channel,)) + header[: (11, 7, 3, 0)[form]] + extended
        pieces = [payload[at : at + self.chunk_size] for at in range(0, len(payload), self.chunk_size)]
        return out + (bytes((0xC0 | channel,)) + extended).join(pieces)


def hello() -> bytes:
    """C0, C1 and C2."""
    return b"\x03" + bytes(8) + bytes(n & 0xFF for n in range(1528)) + bytes(1536)


def obs() -> Dialogue:
    """Chunks of 4096 from the start; sound and pictures on chunk stream 4, where sound steps back behind pictures."""
    out = Librtmp(128)
    raw = hello() + out.write(2, 1, (4096).to_bytes(4, "big"), large=True)
    out.chunk_size = 4096
    options = pairs(
        b"\x03",
        app="live",
        type="nonprivate",
        flashVer="FMLE/3.0 (compatible; FMSc/1.0)",
        swfUrl="rtmp://localhost/live",
        tcUrl="rtmp://localhost/live",
    )
    raw += out.write(3, 20, text("connect") + number(1) + options, large=True)
    raw += out.write(3, 20, text("releaseStream") + number(2) + b"\x05" + text(KEY))
    raw += out.write(3, 20, text("FCPublish") + number(3) + b"\x05" + text(KEY))
    raw += out.write(3, 20, text("createStream") + number(4) + b"\x05")
    raw += out.write(4, 20, text("publish") + number(5) + b"\x05" + text(KEY) + text("live"), stream=1, large=True)
    raw += out.write(4, 18, text("@setDataFrame") + text("onMetaData") + METADATA, stream=1, large=True)
    media = [
        Said(8, 0, AAC_HEADER),
        Said(9, 0, AVC_HEADER),
        Said(9, 0, keyframe(9000)),
        Said(8, 0, sound(341)),
        Said(9, 33, picture(1200, 66)),
        Said(8, 21, sound(341)),
        Said(8, 43, sound(341)),
        Said(9, 67, picture(1200)),
        Said(9, 100, picture(1200, -33)),
        Said(9, 133, picture(1200)),
        Said(8, 64, sound(341)),
        Said(8, 85, sound(341)),
        Said(9, 167, picture(9000)),
        Said(8, 106, sound(5000)),
    ]
    raw += b"".join(out.write(4, *each[::2], each[1], 1, large=not each[1]) for each in media)
    raw += out.write(3, 20, text("FCUnpublish") + number(6) + b"\x05" + text(KEY))
    raw += out.write(3, 20, text("deleteStream") + number(7) + b"\x05" + number(1))
    return Dialogue("obs", raw, [Said(18, 0, text("onMetaData") + METADATA), *media])


def fmle() -> Dialogue:
    """Chunks of 128 throughout, silence whose frames are all alike (type-3 chunks that begin messages), a ping's answer."""
    out = Librtmp(128)
    options = pairs(
        b"\x03",
        app="live",
        flashVer="FMLE/3.0 (compatible; FMSc/1.0 http://www.adobe.com)",
        swfUrl="rtmp://localhost:1935/live",
        tcUrl="rtmp://localhost:1935/live",
    )
    raw = hello() + out.write(3, 20, text("connect") + number(1) + options)
    raw += out.write(2, 5, (2_500_000).to_bytes(4, "big"))
    raw += out.write(3, 20, text("releaseStream") + number(2) + b"\x05" + text(KEY))
    raw += out.write(3, 20, text("FCPublish") + number(3) + b"\x05" + text(KEY))
    raw += out.write(3, 20, text("createStream") + number(4) + b"\x05")
    raw += out.write(3, 20, text("_checkbw") + number(5) + b"\x05")
    raw += out.write(8, 20, text("publish") + number(0) + b"\x05" + text(KEY) + text("live"), stream=1)
    raw += out.write(5, 18, text("@setDataFrame") + text("onMetaData") + METADATA, stream=1)
    raw += out.write(2, 4, b"\x00\x07\x00\x00\x12\x34")
    media = [Said(8, 0, AAC_HEADER), *(Said(8, 21 * n, sound(6)) for n in range(1, 40))]
    pictures = [Said(9, 0, AVC_HEADER), Said(9, 0, keyframe(700)), *(Said(9, 40 * n, picture(129)) for n in range(1, 5))]
    raw += b"".join(out.write(4, *each[::2], each[1], 1) for each in media)
    raw += b"".join(out.write(6, *each[::2], each[1], 1) for each in pictures)
    return Dialogue("fmle", raw, [Said(18, 0, text("onMetaData") + METADATA), *media, *pictures])


def phone() -> Dialogue:
    """The clock counts from the device's start and passes 2^32; chunks grow after `publish`; the key is in the query."""
    out = Librtmp(128)
    raw = hello() + out.write(3, 20, text("connect") + number(1) + pairs(b"\x03", app=f"live?key={KEY}", tcUrl="rtmp://h/live"))
    raw += out.write(3, 20, text("createStream") + number(2) + b"\x05")
    raw += out.write(3, 20, text("publish") + number(3) + b"\x05" + text("") + text("live"), stream=1)
    raw += out.write(2, 1, (60_000).to_bytes(4, "big"))
    out.chunk_size = 60_000
    start = 2**32 - 100
    media = [
        Said(9, start, AVC_HEADER),
        Said(8, start, AAC_HEADER),
        Said(9, start, keyframe(70_000)),
        *(Said(8, start + 23 * n, sound(180)) for n in range(1, 9)),
        *(Said(9, start + 33 * n, picture(800)) for n in range(1, 6)),
    ]
    for each in media:
        raw += out.write(6 if each.type == 9 else 4, each.type, each.payload, each.timestamp & 0xFFFFFFFF, 1)
    return Dialogue("phone", raw, media)


def relay() -> Dialogue:
    """A media server that passes a stream on: AMF3 commands, frames in aggregate messages whose own times start anywhere."""
    out = Librtmp(4096)
    raw = hello() + Librtmp(128).write(2, 1, (4096).to_bytes(4, "big"))
    raw += out.write(3, 20, text("connect") + number(1) + pairs(b"\x03", app="live/", objectEncoding=3.0))
    raw += out.write(3, 17, b"\x00" + text("createStream") + number(2) + b"\x05")
    raw += out.write(
        3, 17, b"\x00" + text("publish") + number(3) + b"\x05" + text(f"{KEY}?from=relay") + text("live"), stream=1
    )
    raw += out.write(5, 15, b"\x00" + text("@setDataFrame") + text("onMetaData") + METADATA, stream=1)
    media = [
        Said(9, 1000, AVC_HEADER),
        Said(8, 1000, AAC_HEADER),
        Said(9, 1000, keyframe(5000)),
        Said(8, 1021, sound(99)),
        Said(9, 1033, picture(300)),
    ]
    tags = b""
    for kind, timestamp, payload in media:
        stamp = timestamp + 16_776_000
        tags += bytes((kind,)) + len(payload).to_bytes(3, "big") + (stamp & 0xFFFFFF).to_bytes(3, "big") + bytes((stamp >> 24,))
        tags += bytes(3) + payload + (len(payload) + 11).to_bytes(4, "big")
    raw += out.write(6, 22, tags, 1000, 1)
    return Dialogue("relay", raw, [Said(18, 0, text("onMetaData") + METADATA), *media])


def _nal(kind: int, size: int) -> bytes:
    return (size + 2).to_bytes(4, "big") + bytes((kind << 1, 1)) + bytes(n * 7 & 0xFF for n in range(size))


def _obu(kind: int, body: bytes) -> bytes:
    return bytes((kind << 3 | 2, len(body) & 0x7F | 0x80, len(body) >> 7)) + body


def enhanced(codec: str) -> Dialogue:
    """OBS with HEVC or AV1: enhanced RTMP's headers, colours as metadata, a composition time where the codec has one."""
    out = Librtmp(128)
    raw = hello() + out.write(2, 1, (4096).to_bytes(4, "big"), large=True)
    out.chunk_size = 4096
    options = pairs(b"\x03", app="live", type="nonprivate", flashVer="FMLE/3.0 (compatible; FMSc/1.0)", tcUrl="rtmp://h/live")
    raw += out.write(3, 20, text("connect") + number(1) + options, large=True)
    raw += out.write(3, 20, text("createStream") + number(2) + b"\x05")
    raw += out.write(4, 20, text("publish") + number(3) + b"\x05" + text(KEY) + text("live"), stream=1, large=True)
    colours = text("colorInfo") + pairs(b"\x03", bitDepth=10.0)
    if codec == "hevc":
        set_up = bytes.fromhex("010160000000900000000000") + bytes.fromhex("3cf000fcfdf8f800000f00")
        key = _nal(32, 22) + _nal(33, 40) + _nal(34, 5) + _nal(39, 30) + _nal(19, 6000)
        pictures = [b"\x90hvc1" + set_up, b"\x94hvc1" + colours, b"\x91hvc1\0\0\x42" + key]
        pictures += [b"\xa3hvc1" + _nal(1, 900), b"\xa1hvc1\xff\xff\xdf" + _nal(35, 1) + _nal(1, 900), b"\x92hvc1"]
    else:
        header = bytes.fromhex("0a0b0000002d4cffb3cdaf9004")
        key = b"\x12\0" + header + _obu(6, b"\x10" + bytes(6000))
        pictures = [b"\x90av01\x81\x05\x0c\0" + header, b"\x94av01" + colours, b"\x91av01" + key]
        pictures += [b"\xa1av01\x12\0" + _obu(6, b"\x30" + bytes(900)), b"\xa1av01\x12\0" + _obu(3, b"\x80"), b"\x92av01"]
    media = [Said(9, 33 * max(0, n - 2), payload) for n, payload in enumerate(pictures)]
    media[1:1] = [Said(8, 0, b"\x90mp4a\x11\x90"), Said(8, 0, b"\x91mp4a" + sound(300)[2:])]
    raw += b"".join(out.write(4, *each[::2], each[1], 1, large=not each[1]) for each in media)
    return Dialogue(codec, raw, media)


def recorded(name: str) -> Dialogue:
    """A recording: what the encoder sent, and the tags of the FLV file it wrote at the same time."""
    found: Mapping[str, str] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return Dialogue(name, base64.b64decode(found["sent"]), tags(base64.b64decode(found["file"])))


def tags(flv: bytes) -> list[Said]:
    """Sound and pictures of an FLV file."""
    found, at = [], 13
    while at + 11 <= len(flv):
        size = int.from_bytes(flv[at + 1 : at + 4], "big")
        stamp = int.from_bytes(flv[at + 4 : at + 7], "big") | flv[at + 7] << 24
        if flv[at] in (8, 9):
            found.append(Said(flv[at], stamp, flv[at + 11 : at + 11 + size]))
        at += 11 + size + 4
    return found


WRITTEN: list[Callable[[], Dialogue]] = [obs, fmle, phone, relay, partial(enhanced, "hevc"), partial(enhanced, "av1")]
RECORDED = ["ffmpeg", "gstreamer"]


def every() -> list[Dialogue]:
    """All of them."""
    return [*(make() for make in WRITTEN), *(recorded(name) for name in RECORDED)]
