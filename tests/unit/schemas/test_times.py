"""Times on the wire: what is read can be written again, and nothing else is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import parse_rfc3339, rfc3339

YEAR_1_MS, YEAR_9999_MS = -62_135_596_800_000, 253_402_300_799_999


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-21T04:35:54.123Z", "2026-11-21T04:35:54.123Z"),
        ("2026-11-21t04:35:54z", "2026-11-21T04:35:54.000Z"),
        ("2026-11-21T04:35:54.123999+05:30", "2026-11-20T23:05:54.123Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ("0800-01-01T00:00:00Z", "0800-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_what_is_read_can_be_written(text: str, written: str) -> None:
    """To the millisecond, in UTC, with four digits of year."""
    assert rfc3339(parse_rfc3339(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        # In UTC these lie in the years 0 and 10000, which nothing can write again.
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2026-11-21",
        "2026-11-21T10Z",
        "20261121T043554Z",
        "2026-W47-1T00:00:00Z",
        "2026-11-21T04:35:54",
        "2026-11-21 04:35:54Z",
        "2026-11-21T04:35:54Z\n",
        "2026-13-21T04:35:54Z",
        "٢٠٢٦-11-21T04:35:54Z",
        "",
    ],
)
def test_nothing_else_is_read(text: str) -> None:
    """ISO 8601 has many more forms; RFC 3339 has not."""
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


@given(st.integers(YEAR_1_MS, YEAR_9999_MS))
def test_a_time_survives(ms: int) -> None:
    """Writing and reading lose nothing."""
    assert parse_rfc3339(rfc3339(ms)) == ms
