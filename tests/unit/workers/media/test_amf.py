"""AMF0 as encoders send it, and as nobody should."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media.rtmp.amf import MAX_DEPTH, MAX_VALUES, AmfError, Value, decode, encode

scalars = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=30)
names = st.text(min_size=1, max_size=10)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4))


@given(st.lists(values, max_size=4))
def test_what_was_encoded_is_decoded(given_values: list[Value]) -> None:
    """Every type we write reads back the same."""
    assert given_values == decode(encode(*given_values))


@given(st.binary(max_size=200))
def test_rubbish_raises_amf_errors_only(raw: bytes) -> None:
    """Whatever the bytes are, they decode or raise AmfError."""
    with contextlib.suppress(AmfError):
        decode(raw)


def test_long_strings_have_their_own_type() -> None:
    """Above 65,535 bytes the length takes four."""
    assert decode(encode("x" * 70_000)) == ["x" * 70_000]


@pytest.mark.parametrize("count", [0, 1, 99])
def test_the_count_of_an_ecma_array_is_only_a_hint(count: int) -> None:
    """Encoders send 0, or one too many; the end marker counts."""
    raw = b"\x08" + count.to_bytes(4, "big") + b"\0\5width" + encode(1280.0) + b"\0\0\x09"

    assert decode(raw) == [{"width": 1280.0}]


@pytest.mark.parametrize("level", [b"\x03\0\1a", b"\x08\0\0\0\1\0\1a", b"\x0a\0\0\0\1"], ids=["object", "ecma", "strict"])
def test_depth_is_bounded(level: bytes) -> None:
    """A bomb of nested containers is refused and not followed."""
    with pytest.raises(AmfError, match="deep"):
        decode(level * 10_000)
    ends = b"\0\0\x09" * MAX_DEPTH if level[0] != 0x0A else b""
    assert len(decode(level * MAX_DEPTH + b"\x05" + ends)) == 1


def test_the_number_of_values_is_bounded() -> None:
    """Neither many small values nor an announced billion are taken."""
    with pytest.raises(AmfError, match="more than"):
        decode(b"\x05" * (MAX_VALUES + 1))
    with pytest.raises(AmfError, match="at most"):
        decode(b"\x0a\xff\xff\xff\xff")


def test_unknown_types_are_named() -> None:
    """The error says which type it was."""
    with pytest.raises(AmfError, match="0x11"):
        decode(b"\x11\x0a")
