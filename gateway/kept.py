"""What is kept between two questions, bounded by its weight: what was asked for the longest ago goes first."""

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """Values by key."""

    def __init__(self, most: int) -> None:
        """*most* is what all values together may weigh; one that weighs more alone is not kept."""
        self._most = most
        self._found: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: str) -> V | None:
        """A value that is still here."""
        if key not in self._found:
            return None
        self._found.move_to_end(key)
        return self._found[key][0]

    def put(self, key: str, value: V, weight: int) -> None:
        """Keep *value*, in place of the one before; *weight* is at least 1."""
        self.drop(key)
        self._found[key] = value, weight
        self._weight += weight
        while self._weight > self._most:
            self.drop(next(iter(self._found)))

    def drop(self, key: str) -> None:
        """Let go of a value, if it is here."""
        _, weight = self._found.pop(key, (None, 0))
        self._weight -= weight
