"""An encoder that was away: where the hole in the dates lies, and when there is none."""

import re
from pathlib import Path

import pytest

from infra.clock import HandClock
from schemas.times import parse_rfc3339
from tests.unit.workers.media.test_publication import PIECE, RUNG, Show
from workers.media.publication import HOLE_MS, STALE_MS
from workers.media.run import SETTLE_MS
from workers.media.variants import SOURCE


@pytest.fixture(name="show")
async def _show(tmp_path: Path) -> Show:
    return await Show(tmp_path, HandClock()).open()


async def test_a_hole_in_the_dates_lies_before_a_discontinuity(show: Show) -> None:
    """In every rendition: dates run on over the discontinuity itself, what was hinted at comes, and the gap can be fetched."""
    show.begin(SOURCE, RUNG)
    for name in (SOURCE, RUNG):
        show.send(name, count=3)
    hints = {name: show.text(name).rpartition(b'TYPE=PART,URI="')[2].partition(b'"')[0].decode() for name in (SOURCE, RUNG)}
    show.clock.advance(3 + 4)
    show.begin(SOURCE, RUNG)
    for name in (SOURCE, RUNG):
        show.send(name, SETTLE_MS / 1000 + 0.1, closes=False)
        before, _, after = show.text(name).decode().partition("#EXT-X-DISCONTINUITY\n")
        assert "#EXT-X-DISCONTINUITY\n" not in after
        dates = [parse_rfc3339(date) for date in re.findall("DATE-TIME:(.*)", before + after)]
        ends = [round(float(lasts) * 1000) for lasts in re.findall("EXTINF:(.*),", before)]
        assert [later - date - lasts for date, later, lasts in zip(dates, dates[1:], ends, strict=False)] == [
            0,
            0,
            4000 - 33,
            0,
        ]
        assert before.endswith("#EXT-X-GAP\n#EXTINF:0.033,\ngap-3.m4s\n")
        assert hints[name] in after
        found = show.publication.find(name)
        assert found is not None
        assert found.held("gap-3.m4s") == PIECE


@pytest.mark.parametrize("away_s", [HOLE_MS / 1000 - 0.001, STALE_MS / 1000 + 0.001])
async def test_other_holes_are_not_bridged(show: Show, away_s: float) -> None:
    """Less than a second is drift to every player, and after half a minute the window has none of what was before."""
    show.begin(SOURCE)
    show.send(SOURCE, count=3)
    show.clock.advance(3 + away_s)
    show.begin(SOURCE)
    show.send(SOURCE, count=2)
    assert b"GAP" not in show.text()
