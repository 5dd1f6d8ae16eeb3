"""Whose turn is when: in the order of the moments, one moment each, and none that was called off."""

from gateway.replay.cues import Cues
from gateway.replay.timeline import Timeline


class _Waiting:
    def __init__(self) -> None:
        self.cue: float | None = None


def test_the_one_due_longest_comes_first_and_once() -> None:
    """Nobody before their moment; a new moment takes the place of the old one, earlier or later."""
    cues: Cues[_Waiting] = Cues()
    early, late, moved, gone = (_Waiting() for _ in range(4))
    for waiting, at in ((late, 3.0), (moved, 1.0), (gone, 0.5), (early, 2.0), (moved, 2.5)):
        cues.put(waiting, at)
    cues.drop(gone)

    assert cues.next() == 2.0
    assert cues.due(1.999) is None
    assert [cues.due(3.0) for _ in range(4)] == [early, moved, late, None]
    assert cues.next() is None


def test_moments_are_computed_from_the_beginning() -> None:
    """At four times the pace a recorded second is a quarter of one, the thousandth as the first."""
    timeline = Timeline(100.0, 5_000, 4.0)

    assert timeline.due(6_000) == 100.25
    assert timeline.due(5_000) == 100.0
    assert timeline.due(5_000 + 3_600_000) == 1000.0
