"""Which pictures the strip of a live stream has."""

from itertools import pairwise

from workers.media.recording.pictures import COLUMNS, MOST, cues
from workers.media.recording.strips import EVERY_MS, SOONER_MS, Strip

BEGAN_MS = 1_795_270_000_000


def live(hours: float) -> Strip:
    """A stream that was live for so long, with a picture every 30 s."""
    strip = Strip()
    for n in range(int(hours * 120)):
        strip.take(BEGAN_MS + n * 30_000, str(n).encode())
    return strip


def test_a_strip_is_bounded_and_even() -> None:
    """However long the stream: no more than 100 pictures, from the first on, of stretches alike but for one picture."""
    for hours in (0.01, 0.5, 0.84, 0.85, 2, 5, 24):
        strip = live(hours)
        newest_ms = BEGAN_MS + (int(hours * 120) - 1) * 30_000
        stretches = strip.stretches(newest_ms + 30_000)
        assert len(strip.tiles) == len(stretches) <= MOST
        assert len(strip.tiles) >= min(int(hours * 120), MOST // 2)
        assert strip.tiles[0] == b"0"
        assert (stretches[0][0], stretches[-1][1]) == (0, newest_ms + 30_000 - BEGAN_MS)
        assert all(one[1] == two[0] for one, two in pairwise(stretches))
        lasts = {end - begin for begin, end in stretches[:-1]} or {30_000}
        assert max(lasts) - min(lasts) <= 30_000, lasts
        assert stretches[-1][1] - stretches[-1][0] <= max(lasts) * 2


def test_pictures_that_come_too_soon_are_not_taken() -> None:
    """After a failure a poster is made again within seconds; the strip stays even."""
    strip = Strip()
    assert strip.take(BEGAN_MS, b"0")
    assert not strip.take(BEGAN_MS + EVERY_MS - SOONER_MS - 1, b"1")
    assert strip.take(BEGAN_MS + EVERY_MS - SOONER_MS, b"2")
    assert strip.tiles == [b"0", b"2"]


def test_the_cues_name_each_picture_where_it_is() -> None:
    """Row by row, each with its time; the note comes before the first."""
    strip = live(0.1)
    text = cues(strip.stretches(BEGAN_MS + 360_000), "7.jpg", "00:00:00.000 is x").decode()
    assert text.startswith("WEBVTT\n\nNOTE 00:00:00.000 is x\n\n00:00:00.000 --> 00:00:30.000\n7.jpg#xywh=0,0,160,90\n")
    assert len(strip.tiles) == 12
    assert COLUMNS == 10
    assert text.endswith("00:05:30.000 --> 00:06:00.000\n7.jpg#xywh=160,90,160,90\n")
