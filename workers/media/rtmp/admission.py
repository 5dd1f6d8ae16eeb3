"""What a connection needs of the broadcasts behind it (the contract). `broadcasts.py` answers it."""

from typing import Protocol

from schemas.media import About
from workers.media.flv import Tag
from workers.media.publisher import LOST, Leaving, Publisher


class Sink(Protocol):
    """Where one publisher's tags go."""

    def take(self, publisher: Publisher, tag: Tag) -> None:
        """One tag; never blocks.

        Raises:
            flv.Unsupported: what it carries is not taken.
        """

    def warned(self, publisher: Publisher, about: About, text: str) -> None:
        """*publisher* was told *text*; nothing else follows from it."""

    def leave(self, publisher: Publisher, leaving: Leaving = LOST) -> None:
        """Nothing more comes from *publisher*. May be called more than once; the first *leaving* counts."""


class Admission(Protocol):
    """Who may publish."""

    async def admit(self, key: str, publisher: Publisher) -> Sink:
        """Let *publisher* send the video of *key*'s stream; whoever sent it before is cut.

        Raises:
            streams.KeyRefused: the key may not publish.
            infra.errors.Unavailable: nobody can tell right now.
        """
