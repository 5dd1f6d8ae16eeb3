"""The PROXY protocol's header, version 2: whom a proxy speaks for (haproxy's proxy-protocol.txt, section 2.2).

Binary, before the first byte of the request: a signature of 12 bytes, version and command, family and transport, the
length of the rest, source and destination, then type-length-values, which are skipped.
"""

from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
#: Addresses take at most 216 bytes; what follows are a proxy's notes, a certificate's names at the longest.
MAX_LENGTH = 4096
#: Signature, version and command, family and transport, length.
FIXED = 16
_VERSION = 2
_LOCAL, _PROXY = 0, 1
#: Family and transport -> bytes of both addresses. TCP alone: a datagram has no connection to come over.
_UNSPEC, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_SIZES = {_UNSPEC: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}


class NotProxied(Exception):
    """It begins with something else, a request most likely."""


class BadHeader(Exception):
    """It begins as a header and is none: cut the connection."""


class ProxyHeader(Struct, frozen=True):
    """What a header says."""

    #: Address and port of the client; `None` when the proxy speaks for itself (a health check), or for no TCP client.
    client: tuple[str, int] | None
    #: Bytes of the header; what follows is the client's.
    length: int


def parse(data: bytes) -> ProxyHeader | None:
    """Read the header at the beginning of *data*; `None` while more bytes are needed.

    Raises:
        NotProxied: *data* does not begin with the signature.
        BadHeader: another version, an unknown command or family, or addresses that do not fit the length.
    """
    if data[:12] != SIGNATURE[: len(data)]:
        raise NotProxied
    if len(data) < FIXED:
        return None
    version, command, family = data[12] >> 4, data[12] & 15, data[13]
    length = int.from_bytes(data[14:16])
    if version != _VERSION or command not in (_LOCAL, _PROXY):
        msg = f"version {version}, command {command}"
        raise BadHeader(msg)
    if length > MAX_LENGTH:
        msg = f"{length} bytes; {MAX_LENGTH} are taken"
        raise BadHeader(msg)
    if command == _PROXY and length < _SIZES.get(family, MAX_LENGTH + 1):
        msg = f"family and transport {family:#04x} in {length} bytes"
        raise BadHeader(msg)
    if len(data) < FIXED + length:
        return None
    return ProxyHeader(_client(family, data[FIXED:]) if command == _PROXY else None, FIXED + length)


def _client(family: int, addresses: bytes) -> tuple[str, int] | None:
    match family:
        case 0x11:
            return str(IPv4Address(addresses[:4])), int.from_bytes(addresses[8:10])
        case 0x21:
            return str(IPv6Address(addresses[:16])), int.from_bytes(addresses[32:34])
        case _:
            return None
