"""How far apart keyframes may be."""

import pytest

from tests.dialogues import AVC_HEADER, keyframe, picture, sound
from workers.media.flv import Tag
from workers.media.rtmp.errors import Refused
from workers.media.rtmp.keyframes import Keyframes


def told(seconds: float, interval: float, *, start: int = 0, step: int = 40) -> list[str]:
    """What a broadcaster is told during so many *seconds* of pictures with a keyframe every *interval* seconds."""
    watch, found = Keyframes(2.0, 10.0), []
    watch.take(Tag(9, start, AVC_HEADER))
    for at in range(0, round(seconds * 1000), step):
        body = keyframe(20) if at % round(interval * 1000) < step else picture(20)
        for tag in (Tag(9, start + at, body), Tag(8, start + at, sound(9))):
            advice = watch.take(tag)
            if advice is not None:
                found.append(advice)
    return found


@pytest.mark.parametrize("interval", [0.04, 1.0, 2.0])
def test_up_to_two_seconds_nothing_is_said(interval: float) -> None:
    """That is what most services ask for."""
    assert told(20, interval) == []


@pytest.mark.parametrize("interval", [2.2, 4.0, 10.0])
def test_above_two_seconds_there_is_advice_once(interval: float) -> None:
    """It says how far apart they are and what to set, and is not repeated for each."""
    advice = told(60, interval, start=17_000_000)
    assert len(advice) == 1
    assert f"{interval:.1f} s apart" in advice[0]
    assert "interval to 1 s" in advice[0]


@pytest.mark.parametrize("interval", [10.2, 600.0])
def test_what_cannot_be_packaged_is_refused_while_it_lasts(interval: float) -> None:
    """The next keyframe is not waited for: it may never come."""
    with pytest.raises(Refused, match="interval to 1 s") as refusal:
        told(12, interval)
    assert refusal.value.reason == "keyframes"


def test_a_pause_is_no_distance() -> None:
    """An encoder that stopped for 20 s, or whose clock was set back, sent no pictures that lacked a keyframe."""
    watch = Keyframes(2.0, 10.0)
    times = [*range(0, 1000, 40), *range(21_000, 22_000, 40), *range(500, 1500, 40)]
    assert [watch.take(Tag(9, at, keyframe(20) if at in (0, 21_960, 1460) else picture(20))) for at in times] == [None] * 75
