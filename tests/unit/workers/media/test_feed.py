"""Where generations begin, from nothing but tags and their times."""

from itertools import pairwise

import pytest

from workers.media.feed import SOUND_ALONE_MS, Feed, Move
from workers.media.flv import AUDIO, SCRIPT, VIDEO, Preamble, Tag, Unsupported
from workers.media.timeline import BACKWARDS_MS, DOWN, STILL_MS, Timeline

SPS = b"\x17\0\0\0\0avcC"
ASC = b"\xaf\0\x11\x90"
HOLE = 1499


def key(at: int, shift: int = 0) -> Tag:
    """A keyframe."""
    return Tag(VIDEO, at, b"\x17\1" + shift.to_bytes(3, "big") + b"I")


def picture(at: int) -> Tag:
    """A picture that needs others."""
    return Tag(VIDEO, at, b"\x27\1\0\0\0P")


def sound(at: int) -> Tag:
    """A frame of sound."""
    return Tag(AUDIO, at, b"\xaf\1a")


def moves(feed: Feed, *tags: Tag) -> list[Move]:
    """What is done with each of *tags*, arriving when their time says."""
    return [feed.take(tag, tag.timestamp, HOLE) for tag in tags]


def headed() -> Feed:
    """A feed that has seen both decoders' set-up."""
    feed = Feed()
    assert moves(feed, Tag(SCRIPT, 0, b"m"), Tag(VIDEO, 0, SPS), Tag(AUDIO, 0, ASC)) == [Move.SKIP] * 3
    return feed


def test_it_begins_at_a_keyframe() -> None:
    """What comes before the first keyframe cannot be shown."""
    assert moves(headed(), sound(0), picture(0), key(33), sound(40), picture(66)) == [
        *(Move.SKIP, Move.SKIP),
        *(Move.BEGIN, Move.CARRY, Move.CARRY),
    ]


def test_a_new_decoder_set_up_begins_anew_at_the_next_keyframe() -> None:
    """The same set-up again changes nothing; another one needs a new initialisation segment."""
    feed = headed()
    moves(feed, key(0))
    assert moves(feed, Tag(VIDEO, 33, SPS), key(33)) == [Move.SKIP, Move.CARRY]
    assert moves(feed, Tag(VIDEO, 66, SPS + b"2"), picture(66), key(99)) == [Move.SKIP, Move.CARRY, Move.BEGIN]


def test_sound_alone_begins_after_a_while() -> None:
    """Pictures are waited for, not for ever; when they come after all, a keyframe begins anew."""
    feed = Feed()
    moves(feed, Tag(AUDIO, 0, ASC))
    assert moves(feed, sound(5000), sound(6000), sound(5000 + SOUND_ALONE_MS - 1)) == [Move.SKIP] * 3
    assert moves(feed, sound(5000 + SOUND_ALONE_MS), sound(7100)) == [Move.BEGIN, Move.CARRY]
    assert moves(feed, Tag(VIDEO, 7150, SPS), sound(7180), key(7200)) == [Move.SKIP, Move.CARRY, Move.BEGIN]


def test_sound_without_set_up_is_left_out() -> None:
    """Ffmpeg was told of pictures only: sound in between would be a stream it does not know."""
    feed = Feed()
    moves(feed, Tag(VIDEO, 0, SPS))
    assert moves(feed, key(0), sound(10), picture(33)) == [Move.BEGIN, Move.SKIP, Move.CARRY]


@pytest.mark.parametrize("jump", [5000, -BACKWARDS_MS - 100])
def test_a_jump_of_the_clock_stops_and_begins_anew(jump: int) -> None:
    """A hole longer than a segment may be, or a step back, cannot be one timeline."""
    feed = headed()
    moves(feed, key(10_000))
    before = feed.timeline
    at = 10_000 + jump
    assert moves(feed, picture(at), sound(at), picture(at + 33), key(at + 66)) == [
        *(Move.STOP, Move.SKIP, Move.SKIP),
        Move.BEGIN,
    ]
    assert feed.timeline is not before


def test_a_jump_to_a_keyframe_begins_at_once() -> None:
    """No picture is wasted."""
    feed = headed()
    assert moves(feed, key(0), key(60_000)) == [Move.BEGIN, Move.BEGIN]


def test_sound_may_pause() -> None:
    """Push to talk leaves holes in the sound; pictures carry the clock."""
    feed = headed()
    moves(feed, key(0), sound(0))
    pictures = [picture(at) for at in range(33, 4000, 33)]
    assert set(moves(feed, *pictures)) == {Move.CARRY}
    assert moves(feed, sound(4000)) == [Move.CARRY]


@pytest.mark.parametrize(
    "tag", [Tag(VIDEO, 0, b"\x12\1\0\0\0"), Tag(VIDEO, 0, b"\x90hvc1"), Tag(AUDIO, 0, b"\x2f\xff"), Tag(AUDIO, 0, b"\x90Opus")]
)
def test_other_codecs_are_refused_with_advice(tag: Tag) -> None:
    """H.263, what was not brought to FLV's own form, MP3, Opus: the text says what to set in the encoder."""
    with pytest.raises(Unsupported, match="set the encoder"):
        Feed().take(tag, 0, HOLE)


def test_av1_whose_set_up_is_bare_is_completed_from_its_keyframe() -> None:
    """librav1e leaves the sequence header out; said again it is no new set-up, and changed it is looked for anew."""
    bare, sequence = b"\x1d\0\0\0\0\x81\x1f\x0c\0", b"\x0a\x02SH"
    first = Tag(VIDEO, 0, b"\x1d\1\0\0\0" + sequence + b"\x32\1\x10")
    feed = Feed()
    assert moves(feed, Tag(VIDEO, 0, bare), first) == [Move.SKIP, Move.BEGIN]
    assert feed.preamble.header(VIDEO) == bare[5:] + sequence
    assert feed.preamble.encode(0, VIDEO).endswith(b"av01" + bare[5:] + sequence + (24).to_bytes(4, "big"))
    assert moves(feed, Tag(VIDEO, 33, bare), first._replace(timestamp=33)) == [Move.SKIP, Move.CARRY]
    assert moves(feed, first._replace(timestamp=60_000)) == [Move.BEGIN]
    assert feed.preamble.header(VIDEO) == bare[5:] + sequence
    whole = bare[:5] + b"\x81\x1f\x0c\0" + b"\x0a\x02HS"
    assert moves(feed, Tag(VIDEO, 60_033, whole), first._replace(timestamp=60_033)) == [Move.SKIP, Move.BEGIN]
    assert feed.preamble.header(VIDEO) == whole[5:]


def test_a_preamble_announces_exactly_what_there_is() -> None:
    """Ffmpeg waits for a kind of stream that the file header promises."""
    preamble = Preamble()
    preamble.note(Tag(VIDEO, 0, SPS))
    assert preamble.encode(17_000_000, VIDEO, AUDIO)[4] == 1
    preamble.note(Tag(AUDIO, 0, ASC))
    raw = preamble.encode(17_000_000, VIDEO, AUDIO)
    assert raw[4] == 5
    assert preamble.encode(0, VIDEO)[4] == 1
    assert preamble.header(AUDIO) == ASC[2:]
    assert raw[13 + 4 : 13 + 8] == (17_000_000 & 0xFFFFFF).to_bytes(3, "big") + b"\x01"


def test_pictures_shown_later_than_they_are_sent() -> None:
    """The composition time is signed."""
    assert key(1000, 66).presented == 1066
    assert Tag(VIDEO, 1000, b"\x27\1\xff\xff\xfe").presented == 998


def test_the_date_is_the_earliest_arrival_and_then_stands() -> None:
    """Jitter only ever delays: the least difference is the truth. Once published no picture moves it at once."""
    timeline = Timeline()
    for at, arrived in [(0, 1_000_500), (100, 1_000_120), (200, 1_000_400)]:
        timeline.observe(at, at, arrived, leads=True)
    timeline.freeze(0, 0)
    assert timeline.date_ms(0) == 1_000_020
    timeline.observe(300, 300, 1_000_301, leads=True)
    timeline.freeze(0, 9_999_999)
    assert timeline.date_ms(1000) == 1_001_020


def test_a_date_that_was_too_late_comes_back_slowly() -> None:
    """A first picture that came late, or had to wait for what was shown before: 3 ms a second, never a jump."""
    timeline = Timeline()
    timeline.observe(0, 0, 1_000_000, leads=True)
    timeline.freeze(0, 1_000_400)
    dates = []
    for second in range(600):
        timeline.observe(second * 1000, second * 1000, 1_000_000 + second * 1000, leads=True)
        timeline.follow(1000)
        dates.append(timeline.date_ms(second * 1000) - second * 1000)
    assert dates[0] == 1_000_397
    assert min(two - one for one, two in pairwise(dates)) == -DOWN
    assert abs(dates[-1] - 1_000_000) <= STILL_MS


def test_an_encoder_whose_clock_goes_slow() -> None:
    """100 ppm: within 30 ms after three hours; what a full line delays for a minute moves nothing that is seen."""
    timeline = Timeline()
    error, worst = 0, 0
    for second in range(3 * 3600):
        stamp = round(second * 1000 * (1 - 1e-4))
        queued = 3000 if 5000 <= second < 5060 else 0
        timeline.observe(stamp, stamp, 1_000_000 + second * 1000 + queued, leads=True)
        if not second:
            timeline.freeze(0, 0)
        timeline.follow(1000)
        error = timeline.date_ms(stamp) - (1_000_000 + second * 1000)
        worst = max(worst, abs(error))
    assert worst <= 30


def test_reordered_pictures_do_not_move_the_date() -> None:
    """A picture that is shown 66 ms after it is decoded was seen by the camera no later than it arrived."""
    timeline = Timeline()
    timeline.observe(0, 66, 1_000_066, leads=True)
    timeline.observe(33, 200, 1_000_200, leads=True)
    timeline.freeze(66, 0)
    assert timeline.date_ms(66) == 1_000_066


def test_dates_never_go_back() -> None:
    """A new encoder whose clock seems earlier than what was published begins where that ended."""
    timeline = Timeline()
    timeline.observe(0, 0, 1_000_000, leads=True)
    timeline.freeze(0, 1_000_700)
    assert timeline.date_ms(0) == 1_000_700
