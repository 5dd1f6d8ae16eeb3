"""Who sends the video, as the broadcast sees it."""

from typing import Protocol


class Publisher(Protocol):
    """One encoder's connection."""

    @property
    def peer(self) -> str:
        """Its address, for the log."""

    def cut(self, reason: str) -> None:
        """Close it at once, telling the broadcaster *reason*. May be called more than once."""

    def warn(self, advice: str) -> None:
        """Tell the broadcaster *advice*; the connection goes on."""
