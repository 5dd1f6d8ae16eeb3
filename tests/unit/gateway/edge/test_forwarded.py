"""X-Forwarded-For: the client, as far as trusted machines wrote it down; a client's own lies count for nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.forwarded import client, scheme
from infra.networks import Networks

TRUSTED = Networks.parse("127.0.0.1,10.0.0.0/8,fd00::/8")


def said(*values: str) -> list[tuple[bytes, bytes]]:
    """Request headers with one X-Forwarded-For each."""
    return [(b"host", b"live.example"), *((b"x-forwarded-for", value.encode("latin-1")) for value in values)]


@pytest.mark.parametrize(
    ("peer", "values", "expected"),
    [
        ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["203.0.113.9, 192.0.2.1"], "192.0.2.1"),  # the left one is the client's own invention
        ("10.0.0.1", ["192.0.2.1, 10.0.0.2"], "192.0.2.1"),  # two proxies of ours
        ("10.0.0.1", ["192.0.2.1", "10.0.0.2"], "192.0.2.1"),  # one header each
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # a client inside
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),  # nobody knows who spoke to the second proxy
        ("10.0.0.1", ["192.0.2.1:4711"], "192.0.2.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("fd00::1", ["2001:0DB8::0001"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["::ffff:192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["\xff\xfe"], "10.0.0.1"),
        ("198.51.100.1", ["192.0.2.1"], "198.51.100.1"),  # not a proxy of ours
        ("", ["192.0.2.1"], ""),
    ],
)
def test_the_rightmost_that_is_not_trusted(peer: str, values: list[str], expected: str) -> None:
    """Proxies add at the right: the first stranger from there is the client."""
    assert client(peer, said(*values), TRUSTED) == expected


@given(st.lists(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60), max_size=4))
def test_what_a_client_sends_never_moves_it(lies: list[str]) -> None:
    """Whatever it wrote itself, the address that a trusted proxy appended stands."""
    assert client("10.0.0.1", said(", ".join([*lies, "192.0.2.1"])), TRUSTED) == "192.0.2.1"


def test_the_scheme_is_the_last_proxys() -> None:
    """Known ones only."""
    for value, expected in ((b"https", "https"), (b"http, https", "https"), (b"HTTPS", "https"), (b"gopher", None)):
        assert scheme([(b"x-forwarded-proto", value)]) == expected
    assert scheme([]) is None
