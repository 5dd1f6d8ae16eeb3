"""What a connection needs of the broadcasts behind it (the contract). `broadcasts.py` answers it."""

from typing import Protocol

from workers.media.flv import Tag
from workers.media.publisher import Publisher


class Sink(Protocol):
    """Where one publisher's tags go."""

    def take(self, publisher: Publisher, tag: Tag) -> None:
        """One tag; never blocks.

        Raises:
            flv.Unsupported: what it carries is not taken.
        """

    def leave(self, publisher: Publisher) -> None:
        """Nothing more comes from *publisher*. May be called more than once."""


class Admission(Protocol):
    """Who may publish."""

    async def admit(self, key: str, publisher: Publisher) -> Sink:
        """Let *publisher* send the video of *key*'s stream; whoever sent it before is cut.

        Raises:
            streams.KeyRefused: the key may not publish.
            infra.errors.Unavailable: nobody can tell right now.
        """
