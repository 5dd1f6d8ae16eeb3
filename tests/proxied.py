"""The PROXY protocol's header as a proxy writes it: built from its document, sharing no code with the gateway."""

import socket
import struct

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def header(
    source: str = "192.0.2.7",
    port: int = 4711,
    *,
    local: bool = False,
    family: int | None = None,
    version: int = 2,
    notes: bytes = b"",
) -> bytes:
    """A header for the client *source*; with *local* the proxy speaks for itself, *notes* are type-length-values."""
    six = ":" in source
    kind = socket.AF_INET6 if six else socket.AF_INET
    target = "2001:db8::1" if six else "198.51.100.1"
    addresses = socket.inet_pton(kind, source) + socket.inet_pton(kind, target) + struct.pack("!HH", port, 443)
    stands_for = family if family is not None else (0x21 if six else 0x11)
    rest = addresses + notes
    return SIGNATURE + struct.pack("!BBH", version << 4 | (not local), stands_for, len(rest)) + rest
