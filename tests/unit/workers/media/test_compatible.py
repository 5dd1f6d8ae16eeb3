"""Streams in a codec that few can play: what waits for H.264, and what is said of time where groups of pictures are open."""

from pathlib import Path

import pytest

from infra.clock import HandClock
from tests.hls import multivariant, playlist
from tests.unit.workers.media.test_publication import PIECE, RUNG, Show
from workers.media.cmaf.writer import Part
from workers.media.compatible import PATIENCE, Compatible
from workers.media.flv import AV1, AVC, HEVC
from workers.media.variants import SOURCE


def waiting(stream: Compatible) -> bool:
    """Whether it waits now."""
    return stream.waits


def test_a_stream_that_few_can_play_waits_for_its_h264() -> None:
    """Until a transcoded rendition has a segment, or none is to be expected."""
    plenty = Compatible(HEVC, [720, 360])
    plenty.published("source")
    assert waiting(plenty)
    assert plenty.only([720, 360]) is None
    plenty.published("360p")
    assert not waiting(plenty)
    plenty.published("source")
    assert not waiting(plenty)

    late = Compatible(AV1, [360])
    for _ in range(PATIENCE - 1):
        late.published("source")
    assert waiting(late)
    late.published("source")
    assert not waiting(late)

    failed = Compatible(HEVC, [360])
    assert waiting(failed)
    assert "cannot play HEVC (H.265) see nothing" in (failed.only([]) or "")
    assert not waiting(failed)
    assert not Compatible(HEVC, []).waits
    for heights in ([], [360]):
        usual = Compatible(AVC, heights)
        assert not waiting(usual)
        assert usual.only([]) is None


async def test_a_passthrough_that_waits_is_not_announced_alone(tmp_path: Path) -> None:
    """No master playlist while it is held; with another rendition there is one, and it does not go again."""
    show = await Show(tmp_path, HandClock()).open()
    show.begin(SOURCE, RUNG)
    show.publication.variants.hold(held=True)
    show.send(SOURCE, count=3)
    assert show.published == [SOURCE] * 3
    assert show.publication.variants.text() is None
    await show.filing.settled()
    assert not (tmp_path / "master.m3u8").exists()
    show.send(RUNG)
    assert len(multivariant.read(show.publication.variants.text() or b"")) == 2
    show.publication.variants.hold(held=False)
    await show.filing.settled()
    assert (tmp_path / "master.m3u8").read_bytes() == show.publication.variants.text()
    assert show.publication.variants.qualities([SOURCE, RUNG]) == ["360p"]


async def test_a_transcoded_segment_that_begins_later_has_the_date_of_its_own_first_picture(tmp_path: Path) -> None:
    """Behind an open group of pictures it begins with the keyframe, two pictures after the passthrough's."""
    show = await Show(tmp_path, HandClock()).open()
    show.begin(SOURCE, RUNG)
    show.send(SOURCE, count=2)
    for at in (0, 1066):
        show.run.take(RUNG, Part(at // 1000, at, 1000, independent=True, opens=True, closes=True, pictures=30, data=PIECE))
    dates = [
        [each.date for each in playlist.read(show.publication.text(rendition)).segments]
        for name in (SOURCE, RUNG)
        if (rendition := show.publication.find(name)) is not None
    ]
    assert dates[1][0] == dates[0][0]
    assert dates[0][1] is not None
    assert (dates[1][1] or 0) - dates[0][1] == pytest.approx(0.066)
