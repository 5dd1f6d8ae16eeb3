"""Who is connected: counts by address, so that one cannot take all the room."""

from collections import Counter
from ipaddress import IPv6Address, IPv6Network

from infra.networks import read

#: What one household or machine gets of IPv6: counting single addresses there would count nothing.
_PREFIX = 64


def party(address: str) -> str:
    """Whom *address* stands for: an IPv4 address itself, of IPv6 its /64."""
    try:
        found = read(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), _PREFIX), strict=False))
    return str(found)


class Peers:
    """Counts connections; holds one number per party that is connected, so at most as many as connections."""

    def __init__(self, most: int, most_per_address: int) -> None:
        """*most_per_address* 0 means any number."""
        self._most = most
        self._most_per_address = most_per_address
        self._counts: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def enter(self, address: str) -> str | None:
        """Count a connection from *address*; when there is no room, why (`total` or `address`), and nothing is counted."""
        if self._total >= self._most:
            return "total"
        name = party(address)
        if self._most_per_address and self._counts[name] >= self._most_per_address:
            return "address"
        self._counts[name] += 1
        self._total += 1
        return None

    def leave(self, address: str) -> None:
        """A counted connection from *address* is gone."""
        name = party(address)
        self._total -= 1
        self._counts[name] -= 1
        if not self._counts[name]:
            del self._counts[name]
