"""Rounds and their statistics: medians, spreads, and ratios taken within a round."""

import statistics
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T")


class Spread(Struct, frozen=True):
    """A median with the extremes and all values in the order of the rounds."""

    median: float
    low: float
    high: float
    values: list[float]

    def text(self, digits: int = 2) -> str:
        """`median (low - high)`."""
        if len(self.values) == 1:
            return f"{self.median:,.{digits}f}"
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f} - {self.high:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """The spread of *values*, at least one."""
    return Spread(statistics.median(values), min(values), max(values), list(values))


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """`above / below` round by round: what disturbs a whole round cancels out.

    Raises:
        ValueError: the two have not the same number of rounds.
    """
    return spread([a / b for a, b in zip(above, below, strict=True)])


def undisturbed(
    run: Callable[[str], T], disturbed: Callable[[T], bool], again: int, aside: list[tuple[str, T]]
) -> Callable[[str], T]:
    """*run*, up to *again* times more at once while it was *disturbed*; what is set *aside* is to be told."""

    def runs(variant: str) -> T:
        for _ in range(again):
            if not disturbed(found := run(variant)):
                return found
            aside.append((variant, found))
        return run(variant)

    return runs


def interleaved(
    variants: Sequence[str], rounds: int, run: Callable[[str], T], say: Callable[[str], None] = print
) -> dict[str, list[T]]:
    """Run every variant once per round, each round beginning with another one, so that no place in the order is favoured."""
    results: dict[str, list[T]] = {variant: [] for variant in variants}
    for number in range(rounds):
        start = number % len(variants)
        for variant in [*variants[start:], *variants[:start]]:
            result = run(variant)
            results[variant].append(result)
            say(f"round {number + 1}/{rounds}  {variant}: {result}")
    return results
