"""How often something may be done, as settings are written."""

from typing import Self

from msgspec import Struct


class Limit(Struct, frozen=True):
    """*count* in any window of *seconds*; written `5/30`."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `count/seconds`, both positive whole numbers."""
        count, slash, seconds = text.partition("/")
        if not (slash and count.isdecimal() and seconds.isdecimal() and int(count) and int(seconds)):
            msg = f"expected count/seconds such as 5/30, got {text!r}"
            raise ValueError(msg)
        return cls(int(count), int(seconds))
