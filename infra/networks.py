"""Networks of trusted machines, as settings write them: `10.0.0.0/8,fd00::/8`."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

from msgspec import Struct


class Networks(Struct, frozen=True):
    """Any number of IPv4 and IPv6 networks, none by default."""

    each: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read comma separated networks or single addresses; a network with host bits set is refused as a slip.

        Raises:
            ValueError: one of them is neither.
        """
        return cls(tuple(ip_network(part.strip()) for part in text.split(",") if part.strip()))

    def __bool__(self) -> bool:
        return bool(self.each)

    def __str__(self) -> str:
        return ",".join(map(str, self.each))

    def __contains__(self, address: str) -> bool:
        """Whether *address*, as text, lies in one of them; what is no address does not."""
        return _within(address, self.each)


def read(address: str) -> IPv4Address | IPv6Address:
    """An address from its text; an IPv4 address that a dual-stack socket wrote as `::ffff:a.b.c.d` is itself again.

    Raises:
        ValueError: it is none.
    """
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


@lru_cache(1024)
def _within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        found = read(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
