"""The PROXY protocol's header: whom a proxy speaks for, however the bytes arrive, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.proxyheader import MAX_LENGTH, BadHeader, NotProxied, parse
from tests.proxied import SIGNATURE, header

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
#: A certificate's name (PP2_TYPE_AUTHORITY) and padding (PP2_TYPE_NOOP).
NOTES = b"\x02\x00\x0blive.exampl\x04\x00\x03abc"


def test_it_names_the_client() -> None:
    """IPv4 and IPv6, with and without notes; what follows is left alone."""
    for source, port in (("192.0.2.7", 4711), ("255.255.255.255", 65535), ("2001:db8::7", 1), ("::1", 0)):
        for notes in (b"", NOTES):
            data = header(source, port, notes=notes)
            found = parse(data + REQUEST)

            assert found is not None
            assert (found.client, found.length) == ((source, port), len(data))


def test_it_matches_the_documents_own_bytes() -> None:
    """A header written out by hand: signature, 0x21, 0x11, 12 bytes of addresses, and nothing built by a helper."""
    data = bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c c0000201 c6336401 1267 01bb")
    found = parse(data)

    assert found is not None
    assert (found.client, found.length) == (("192.0.2.1", 0x1267), 28)


def test_a_proxy_that_speaks_for_itself_names_nobody() -> None:
    """LOCAL (a health check), an unknown family, and a socket in the file system: the connection's own address stands."""
    unix = SIGNATURE + b"\x21\x31" + (216).to_bytes(2) + bytes(216)
    unspecified = SIGNATURE + b"\x21\x00\x00\x05hello"
    empty = SIGNATURE + b"\x20\x00\x00\x00"
    for data in (header(local=True), header(local=True, family=0x77), unix, unspecified, empty):
        found = parse(data + REQUEST)

        assert found is not None
        assert (found.client, found.length) == (None, len(data))


@given(st.sampled_from(["192.0.2.7", "2001:db8::7"]), st.booleans(), st.binary(max_size=300), st.data())
def test_more_is_waited_for_until_it_is_whole(source: str, local: bool, notes: bytes, data: st.DataObject) -> None:  # noqa: FBT001
    """However it is cut: no beginning of it is an answer or a fault, and all of it is the same answer."""
    whole = header(source, local=local, notes=notes)
    cut = data.draw(st.integers(0, len(whole) - 1))

    assert parse(whole[:cut]) is None
    assert parse(whole) == parse(whole + REQUEST) is not None


@pytest.mark.parametrize(
    "data", [REQUEST, b"G", b"\r\n\r\n\x00\r\nQUIT\r", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"\r\nGET / HTTP/1.1\r\n"]
)
def test_something_else_is_not_a_header(data: bytes) -> None:
    """A request, version 1 in text, and a signature with one byte wrong."""
    with pytest.raises(NotProxied):
        parse(data)


@pytest.mark.parametrize(
    "data",
    [
        header(version=1),
        header(version=3),
        SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),  # command 2
        SIGNATURE + b"\x21\x11\x00\x0b" + bytes(11),  # too short for two IPv4 addresses
        SIGNATURE + b"\x21\x21\x00\x23" + bytes(35),  # too short for two IPv6 addresses
        header(family=0x12),  # a datagram
        header(family=0x41),  # no such family
        SIGNATURE + b"\x21\x11" + (MAX_LENGTH + 1).to_bytes(2),
    ],
)
def test_a_bad_one_is_refused_at_once(data: bytes) -> None:
    """Another version, command, family or length: as soon as its first 16 bytes are there."""
    with pytest.raises(BadHeader):
        parse(data[:16])


@given(st.binary(max_size=80))
def test_no_bytes_break_it(tail: bytes) -> None:
    """Anything after the signature is an answer, a wait or a fault that has a name."""
    try:
        found = parse(SIGNATURE + tail)
    except BadHeader:
        return

    assert found is None or found.length <= len(SIGNATURE + tail)
