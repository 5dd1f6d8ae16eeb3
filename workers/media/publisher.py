"""Who sends the video, as the broadcast sees it."""

from typing import Literal, NamedTuple, Protocol

from schemas.media import About, StopReason


class Leaving(NamedTuple):
    """How an encoder went, and what was said to it, or how its connection ended."""

    reason: StopReason
    text: str = ""


#: Its connection ended without a word.
LOST = Leaving("lost")


class Publisher(Protocol):
    """One encoder's connection."""

    @property
    def peer(self) -> str:
        """Its address, for the log."""

    @property
    def encoder(self) -> str:
        """What it calls itself; empty when it does not say."""

    @property
    def transport(self) -> Literal["rtmp", "rtmps"]:
        """What it came over."""

    def cut(self, reason: str) -> None:
        """Close it at once, telling the broadcaster *reason*. May be called more than once."""

    def warn(self, about: About, advice: str) -> None:
        """Tell the broadcaster *advice*; the connection goes on."""
