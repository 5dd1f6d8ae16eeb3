"""Heights of pictures, as settings are written."""

from msgspec import Struct


class Heights(Struct, frozen=True):
    """Heights of pictures in lines, written as `480,360`; `0` for none."""

    heights: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "Heights":
        """Read one.

        Raises:
            ValueError: a part of *text* is no height from 64 to 2160.
        """
        words = [word.strip() for word in text.split(",")]
        if words == ["0"]:
            return cls(())
        if not all(word.isascii() and word.isdecimal() and 64 <= int(word) <= 2160 for word in words):
            msg = f"expected heights such as 480,360 (64 to 2160 lines), or 0 for none, got {text!r}"
            raise ValueError(msg)
        return cls(tuple(int(word) for word in words))

    def __str__(self) -> str:
        return ",".join(str(height) for height in self.heights) or "0"
