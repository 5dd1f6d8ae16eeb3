"""The cuts of a window while it is filled: what each cohort is shown of the items that it takes."""

from collections.abc import Iterable

from gateway.fanout.sampling import COHORTS
from gateway.fanout.window import Window
from gateway.shown import Shown


class Cuts:
    """Bounded by what the cohort that is shown most is shown."""

    __slots__ = ("_fullest", "_largest", "_most", "_most_bytes", "_parts", "_sizes", "items")

    def __init__(self, most: int, most_bytes: int) -> None:
        """At most *most* items and about *most_bytes* are shown to anybody."""
        self._most = most
        self._most_bytes = most_bytes
        self._parts: list[list[Shown]] = [[] for _ in range(COHORTS)]
        self._sizes = [0] * COHORTS
        #: Bytes, and items, of the cut that has most of them.
        self._largest = self._fullest = 0
        #: All that it takes, shown or not.
        self.items: list[Shown] = []

    def has_room(self, item: Shown) -> bool:
        """Whether all cohorts could be shown *item*; an empty window has room for anything."""
        if not self.items:
            return True
        return self._largest + len(item.data) <= self._most_bytes and self._fullest < self._most

    def add(self, item: Shown, cohorts: Iterable[int]) -> None:
        """Take *item*, and show it to *cohorts*."""
        self.items.append(item)
        for cohort in cohorts:
            self._parts[cohort].append(item)
            self._sizes[cohort] += len(item.data)
            self._largest = max(self._largest, self._sizes[cohort])
            self._fullest = max(self._fullest, len(self._parts[cohort]))

    @property
    def whole(self) -> bool:
        """Whether everybody is shown everything."""
        return all(len(part) == len(self.items) for part in self._parts)

    def window(self, prev: int, to: int, now: float) -> Window:
        """The window of that range, with a cut for each cohort that tells how many of how many comments it shows."""
        of = _comments(self.items)
        cuts = tuple(Window(prev, to, tuple(part), now, (_comments(part), of)) for part in self._parts)
        return Window(prev, to, tuple(self.items), now, cuts=cuts)


def _comments(items: Iterable[Shown]) -> int:
    return sum(item.kind == "comment" for item in items)
