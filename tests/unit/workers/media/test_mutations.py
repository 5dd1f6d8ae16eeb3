"""Rubbish made of what encoders say: whatever is changed in it, a session reads on or raises ProtocolError.

    FUZZ_INPUTS=100000 FUZZ_SEED=7 .venv/bin/pytest -s tests/unit/workers/media/test_mutations.py

tries as many as one likes; 20,000 are tried without being asked.
"""

import contextlib
import os
import random
import time

from tests.dialogues import every
from workers.media.cmaf.setup import Setup
from workers.media.flv import VIDEO, Tag, Unsupported
from workers.media.rtmp.codecs import plain
from workers.media.rtmp.errors import ProtocolError, Refused
from workers.media.rtmp.keyframes import Keyframes
from workers.media.rtmp.session import MediaReceived, PublishRequested, Session

INPUTS = int(os.environ.get("FUZZ_INPUTS", "20000"))
SEED = int(os.environ.get("FUZZ_SEED", "20261121"))
SHAKEN = 1 + 2 * 1536
#: Bytes after the handshake that are tried of each dialogue: the commands and the first frames.
MOST = 6000
TELLING = [0, 1, 2, 3, 5, 8, 9, 0x0A, 0x11, 0x14, 0x16, 0x7F, 0x80, 0x86, 0x90, 0x91, 0x93, 0x97, 0xC3, 0xFF]


def mutated(rng: random.Random, corpus: list[bytes]) -> bytes:
    """One of *corpus* with a few changes: bytes set, bits turned, pieces cut out, doubled, or taken from another one."""
    raw = bytearray(rng.choice(corpus))
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(raw) or 1)
        match rng.randrange(6):
            case 0:
                raw[at : at + 1] = bytes((rng.choice(TELLING),))
            case 1:
                raw[at : at + 1] = bytes((rng.randrange(256),))
            case 2:
                del raw[at : at + rng.choice((1, 2, 4, 100))]
            case 3:
                raw[at:at] = raw[at : at + rng.choice((1, 3, 12, 200))]
            case 4:
                other = rng.choice(corpus)
                start = rng.randrange(len(other))
                raw[at:at] = other[start : start + rng.choice((4, 12, 300))]
            case _:
                raw[at : at + 4] = rng.choice((bytes(4), b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\xff\xff\xff"))
    return bytes(raw)


def survives(raw: bytes) -> bool:
    """Read *raw* as a session behind a good key would; tells whether all of it was taken."""
    session, keyframes = Session(), Keyframes(2.0, 10.0)
    list(session.feed(b"\x03" + bytes(SHAKEN - 1)))
    try:
        for event in session.feed(raw):
            if isinstance(event, PublishRequested):
                session.accept()
            elif isinstance(event, MediaReceived) and (tag := plain(Tag(*event))) is not None:
                keyframes.take(tag)
                assert tag.payload
                if tag.type == VIDEO and tag.is_header:
                    set_up(tag)
    except (ProtocolError, Refused, Unsupported):
        return False
    return True


def set_up(tag: Tag) -> None:
    """Read it as a generation does."""
    with contextlib.suppress(ValueError):
        Setup.read(tag.payload[5:], None, tag.payload[0] & 0x0F).initialisation()


def test_mutated_dialogues_raise_expected_errors_only() -> None:
    """Of many thousand inputs some are read and some refused; none raises anything else, none takes long."""
    rng = random.Random(SEED)
    corpus = [each.raw[SHAKEN : SHAKEN + MOST] for each in every()]
    read, slowest = 0, 0.0
    for n in range(INPUTS):
        raw = mutated(rng, corpus)
        began = time.process_time()
        try:
            read += survives(raw)
        except Exception as error:
            msg = f"input {n} of seed {SEED}: {raw.hex()}"
            raise AssertionError(msg) from error
        slowest = max(slowest, time.process_time() - began)

    print(f"{INPUTS} inputs, {read} read, the slowest took {slowest * 1000:.1f} ms")  # noqa: T201 - for whoever asked for more
    assert INPUTS * 0.05 < read < INPUTS * 0.95
    assert slowest < 1
