"""What is known of a stream's counters: the greatest value seen of each part, and the sums over parts.

Parts only ever grow, so the greater of two values is the newer one, whichever came first and however often: pulses that
cross, repeat or get lost, and answers of a replica that lags, all lead to the same sums, which never go back.
"""

from collections.abc import Container

#: name -> part -> value. Part -1 is the undivided subject of older versions.
Parts = dict[str, dict[int, int]]


class Tally:
    """One stream's counters; at most names x parts values."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: Parts = {}

    def know(self, parts: Parts) -> bool:
        """Take values from wherever they are known; whether any was news."""
        news = False
        for name, values in parts.items():
            mine = self._parts.setdefault(name, {})
            for part, value in values.items():
                if value > mine.get(part, 0):
                    mine[part] = value
                    news = True
        return news

    def parts(self, names: Container[str]) -> Parts:
        """A copy of what is known of *names*."""
        return {name: dict(values) for name, values in self._parts.items() if name in names}

    def totals(self, names: Container[str]) -> dict[str, int]:
        """The sum over its parts of each of *names*, zeros left out."""
        return {name: total for name, values in self._parts.items() if name in names and (total := sum(values.values()))}
