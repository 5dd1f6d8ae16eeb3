"""How many viewers there may be on this gateway, and how many of them one person, and one address, may have."""

from collections.abc import Hashable
from typing import Protocol, TypeVar

from infra.networks import read

#: An IPv6 client has a network of its own: counting single addresses would let it take as many viewers as it likes.
IPV6_PREFIX = 64

K = TypeVar("K", bound=Hashable)


class Counted(Protocol):
    """What of a viewer is counted."""

    #: Who it is counted as, and whether a credential said so; without one it is a person of its own.
    person: int
    named: bool
    #: What its address is counted as: `Quotas.place`.
    place: str


class Quotas:
    """Counts; 0 allows any number."""

    def __init__(self, per_person: int, per_address: int, in_total: int = 0) -> None:
        self.taken = 0
        self._in_total = in_total
        self._per_person = per_person
        self._per_address = per_address
        self._people: dict[int, int] = {}
        self._places: dict[str, int] = {}

    def place(self, address: str) -> str:
        """What an address is counted as: itself, or an IPv6 address's network; nothing where addresses are not counted."""
        if not self._per_address:
            return ""
        try:
            found = read(address)
        except ValueError:
            return address
        return str(found) if found.version == 4 else f"{int(found) >> (128 - IPV6_PREFIX):x}/{IPV6_PREFIX}"

    def exceeded(self, viewer: Counted) -> str:
        """Which limit one more viewer would break: `viewers`, `person`, `address`, or an empty string."""
        if self._in_total and self.taken >= self._in_total:
            return "viewers"
        if self._per_person and viewer.named and self._people.get(viewer.person, 0) >= self._per_person:
            return "person"
        if self._per_address and self._places.get(viewer.place, 0) >= self._per_address:
            return "address"
        return ""

    def take(self, viewer: Counted) -> None:
        """Count a viewer, until `give_back`; ask `exceeded` in the same turn of the loop."""
        self.taken += 1
        if self._per_person and viewer.named:
            self._people[viewer.person] = self._people.get(viewer.person, 0) + 1
        if self._per_address:
            self._places[viewer.place] = self._places.get(viewer.place, 0) + 1

    def give_back(self, viewer: Counted) -> None:
        """Count it no more; what it is counted as must not have changed."""
        self.taken -= 1
        if self._per_person and viewer.named:
            _less(self._people, viewer.person)
        if self._per_address:
            _less(self._places, viewer.place)


def _less(counts: dict[K, int], key: K) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
