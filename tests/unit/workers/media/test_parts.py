"""The small parts: patience with a program that dies, the ladder and its budget, the command line, ffmpeg's FLV."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.codecs import Codecs
from infra.heights import Heights
from infra.settings import Settings
from workers.media.broadcast import Terms
from workers.media.command import transcode
from workers.media.flv import AV1, AVC, HEVC, Preamble, Tag
from workers.media.flvreader import FlvReader
from workers.media.ladder import PER_CORE, Budget, cost, rungs
from workers.media.patience import MOST_S, WELL_S, Patience
from workers.media.rtmp.limits import Limits


def test_patience_grows_and_ends() -> None:
    """Restarts come ever later, then not at all; a long life in between begins anew."""
    patience = Patience(7)
    assert [patience.delay(0.1) for _ in range(8)] == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, MOST_S, None]
    patience = Patience(2)
    assert [patience.delay(WELL_S) for _ in range(5)] == [0.0] * 5


@pytest.mark.parametrize(
    ("source", "wanted", "expected"),
    [
        (1080, (720, 360), [720, 360]),
        (1080, (360, 720, 360), [720, 360]),
        (720, (720, 480), [480]),
        (360, (360,), [240]),
        (180, (360,), [144]),
        (144, (360,), []),
        (0, (360,), []),
        (720, (), []),
    ],
)
def test_rungs_lie_below_the_source(source: int, wanted: tuple[int, ...], expected: list[int]) -> None:
    """Nothing is scaled up, and a small source still gets something smaller."""
    assert rungs(source, wanted) == expected


def test_a_stream_gets_what_the_machine_has_room_for() -> None:
    """The highest rendition goes first; past the budget a stream is passed through; what is given back can be had again."""
    budget = Budget(0.6)
    first, price = budget.choose(1080, (720, 480, 360))
    assert first == [480, 360]
    assert price == pytest.approx(cost(1080, [480, 360]))
    second, small = budget.choose(720, (720, 480, 360))
    assert second == [360]
    assert budget.choose(1080, (360,)) == ([], 0.0)
    budget.give(price)
    budget.give(small)
    assert budget.choose(1080, (720, 480, 360))[0] == [480, 360]


@pytest.mark.parametrize(
    ("cores", "source", "wanted", "expected"),
    [
        (8, 1080, (360,), [1080, 360]),
        (8, 1080, (720, 480), [1080, 720, 480]),
        (8, 2160, (1440, 1080, 360), [1080, 360]),
        (8, 180, (360,), [180, 144]),
        (8, 135, (360,), [134]),
        (8, 720, (), []),
        (8, 0, (360,), []),
        # The best that can be paid for goes before the lower ones.
        (0.45, 720, (480, 360), [720, 360]),
        (0.42, 720, (360,), [720]),
        (0.30, 720, (480, 360), [480, 360]),
        (0.15, 720, (480,), [360]),
        (0.05, 720, (360,), []),
    ],
)
def test_a_source_that_is_not_h264_gets_a_large_rendition_first(
    cores: float, source: int, wanted: tuple[int, ...], expected: list[int]
) -> None:
    """Up to its own size; only then what lies below; never more than the budget."""
    budget = Budget(cores)
    chosen, price = budget.choose(source, wanted, HEVC)
    assert chosen == expected
    assert price == pytest.approx(cost(source, chosen, HEVC))
    assert price <= cores
    assert cost(source, [144], HEVC) > cost(source, [144]) or not source


def test_codecs_are_read_as_written() -> None:
    """Some of three, in words."""
    assert Codecs.parse("h264, av1").names == ("h264", "av1")
    assert str(Codecs.parse("hevc")) == "hevc"
    for text in ("", "h265", "h264,,av1", "h264 av1"):
        with pytest.raises(ValueError, match="expected some of h264,hevc,av1"):
            Codecs.parse(text)
    limits = Limits.of(Settings(jwt_secret="x" * 32, ingest_codecs=Codecs(("h264", "av1"))))
    assert limits.codecs == {AVC, AV1}
    assert Limits.of(Settings(jwt_secret="x" * 32)).codecs == Limits().codecs == {AVC, HEVC, AV1}


@pytest.mark.parametrize(
    ("source", "expected"),
    [(2160, [720, 480, 360]), (1440, [1080, 720, 480, 360]), (1080, [720, 480, 360]), (720, [480, 360]), (360, [240])],
)
def test_the_ladder_of_two_cores(source: int, expected: list[int]) -> None:
    """As it is set by default: all of 1080, 720, 480 and 360 that lie below the source, but for what two cores cannot do."""
    wanted = Settings().transcode_heights.heights
    assert Terms(ffmpeg=Path()).heights == wanted
    assert Budget(2 * PER_CORE).choose(source, wanted)[0] == expected


def test_heights_are_read_as_written() -> None:
    """`480,360`, or `0` for none; anything else is refused."""
    assert Heights.parse("480, 360").heights == (480, 360)
    assert Heights.parse("0").heights == ()
    assert str(Heights.parse("480,360")) == "480,360"
    for text in ("", "12", "big", "480,,360", "9999"):
        with pytest.raises(ValueError, match="heights"):
            Heights.parse(text)


def test_one_ffmpeg_writes_each_height_to_a_pipe_of_its_own() -> None:
    """Without the sound, and without `nobuffer`, which loses the first group of pictures."""
    words = transcode(Path("ffmpeg"), [(480, 7), (360, 9)], 1000)
    assert words.count("libx264") == 2
    assert [word for word in words if word.startswith("pipe:")] == ["pipe:0", "pipe:7", "pipe:9"]
    assert not any("nobuffer" in word or "0:a" in word for word in words)
    assert "split" not in " ".join(transcode(Path("ffmpeg"), [(360, 9)], 1000))


@given(
    st.lists(st.tuples(st.sampled_from((8, 9)), st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=40))),
    st.integers(1, 50),
)
def test_flv_is_read_in_any_pieces(given_tags: list[tuple[int, int, bytes]], size: int) -> None:
    """What is encoded comes back, however the pipe cuts it."""
    tags = [Tag(*each) for each in given_tags]
    raw = Preamble().encode(0) + b"".join(tag.encode() for tag in tags)
    reader = FlvReader()
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert [tag for piece in pieces for tag in reader.feed(piece)] == tags


def test_what_is_no_flv_is_refused() -> None:
    """An ffmpeg that writes something else is restarted, not believed."""
    with pytest.raises(ValueError, match="FLV"):
        list(FlvReader().feed(b"\0" * 32))
