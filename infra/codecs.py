"""Which codecs of pictures encoders may send, as a setting."""

from msgspec import Struct


class Codecs(Struct, frozen=True):
    """Codecs of pictures, written as `h264,hevc,av1`."""

    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Codecs":
        """Read one.

        Raises:
            ValueError: a part of *text* is no codec that can be taken.
        """
        words = tuple(word.strip() for word in text.split(","))
        if not set(words) <= {"h264", "hevc", "av1"}:
            msg = f"expected some of h264,hevc,av1, got {text!r}"
            raise ValueError(msg)
        return cls(words)

    def __str__(self) -> str:
        return ",".join(self.names)
