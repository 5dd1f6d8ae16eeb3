"""A client gets what it says it takes."""

import pytest

from gateway.encodings import takes_gzip


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        (b"gzip", True),
        (b"GZIP", True),
        (b"x-gzip", True),
        (b"gzip, deflate, br, zstd", True),
        (b"br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        (b"*", True),
        (b"br, *;q=0.001", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000", False),
        (b"deflate,gzip ;Q=0.0", False),
        (b"gzip;q=0, *", False),
        (b"identity, *;q=0", False),
        (b"identity", False),
        (b"br, deflate", False),
        (b"", False),
    ],
)
def test_gzip_is_taken_where_it_is_named_or_anything_is(accepted: bytes, takes: bool) -> None:  # noqa: FBT001 - expected
    """A weight of 0 is a no, however it is written; a name says more than `*`."""
    assert takes is takes_gzip(accepted)
