"""What a large stream's viewers get, as settings are written: rows by number of viewers, and the weights of a sample."""

import itertools
from typing import Self

from msgspec import Struct


class Row(Struct, frozen=True):
    """What holds from *viewers* over all gateways.

    A window at most every *interval_ms*, of at most *items* items; of all comments the share *rate* is shown, and at most
    *per_s* a second (0: no such limit).
    """

    viewers: int
    interval_ms: int
    items: int
    rate: float
    per_s: int


class Policy(Struct, frozen=True):
    """Rows by rising number of viewers, the first from 0; written `0:50:1000:1:0,10000:100:500:1:20`."""

    rows: tuple[Row, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `viewers:interval_ms:items:rate:per_s` rows."""
        rows = []
        for part in text.split(","):
            try:
                viewers, interval_ms, items, rate, per_s = part.strip().split(":")
                row = Row(int(viewers), int(interval_ms), int(items), float(rate), int(per_s))
            except ValueError:
                row = Row(-1, 0, 0, 0, 0)
            if row.viewers < 0 or row.interval_ms < 0 or row.items < 1 or not 0 < row.rate <= 1 or row.per_s < 0:
                msg = f"expected viewers:interval_ms:items:rate:per_s such as 10000:100:500:1:20, got {part.strip()!r}"
                raise ValueError(msg)
            rows.append(row)
        if rows[0].viewers != 0 or any(high.viewers <= low.viewers for low, high in itertools.pairwise(rows)):
            msg = "the first row must begin at 0 viewers, and each later one at more than the row before"
            raise ValueError(msg)
        return cls(tuple(rows))


class Weights(Struct, frozen=True):
    """How many times likelier than others some comments are to be shown in a sample; written `verified=8,reply=2`."""

    verified: float = 8.0
    reply: float = 2.0
    question: float = 2.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name=weight` pairs; what is not named keeps its default."""
        values: dict[str, float] = {}
        for part in text.split(","):
            name, _, value = part.strip().partition("=")
            number = float(value) if value.replace(".", "", 1).isdecimal() else 0.0
            if name not in cls.__struct_fields__ or number <= 0:
                msg = f"expected name=weight with a name of {', '.join(cls.__struct_fields__)}, got {part.strip()!r}"
                raise ValueError(msg)
            values[name] = number
        return cls(**values)
