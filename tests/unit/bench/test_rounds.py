"""Medians, spreads and ratios of rounds."""

import pytest

from bench.rounds import interleaved, ratios, spread, undisturbed


def test_a_spread_has_the_median_and_the_extremes() -> None:
    """Of an even number of values the median is the middle of the two in the middle."""
    found = spread([4.0, 1.0, 3.0, 2.0])

    assert (2.5, 1.0, 4.0) == (found.median, found.low, found.high)
    assert found.text() == "2.50 (1.00 - 4.00)"


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which everything took twice as long changes no ratio."""
    found = ratios([10.0, 20.0, 10.0], [5.0, 10.0, 5.0])

    assert [2.0, 2.0, 2.0] == found.values


def test_ratios_of_unequal_rounds_are_refused() -> None:
    """A lost round must not shift the others."""
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        ratios([1.0, 2.0], [1.0])


def test_every_round_runs_every_variant_and_begins_with_another() -> None:
    """No variant always runs on the machine the same other one has warmed."""
    order: list[str] = []

    def run(variant: str) -> int:
        order.append(variant)
        return len(order)

    found = interleaved(["a", "b"], 2, run, lambda _: None)

    assert ["a", "b", "b", "a"] == order
    assert {"a": [1, 4], "b": [2, 3]} == found


def test_a_disturbed_run_is_done_again_and_told() -> None:
    """Not for ever: the last one counts, whatever it was."""
    outcomes = iter([9, 1, 8, 7, 6, 2])
    aside: list[tuple[str, int]] = []
    run = undisturbed(lambda _: next(outcomes), lambda found: found > 5, 2, aside)

    assert [run("a"), run("b"), run("c")] == [1, 6, 2]
    assert [("a", 9), ("b", 8), ("b", 7)] == aside
