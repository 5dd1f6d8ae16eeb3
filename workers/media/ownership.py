"""Whose stream it is: one worker at a time owns a stream's video, and alone writes of it."""

from collections.abc import Callable
from typing import Protocol


class Lease(Protocol):
    """A stream that is owned."""

    @property
    def generation(self) -> int:
        """A number above that of every owner before."""

    @property
    def held(self) -> bool:
        """Whether it may be written now. False as soon as it could be somebody else's, also for whoever was paused."""

    async def release(self) -> None:
        """Give it up; nobody owns it then."""


class Ownership(Protocol):
    """Takes streams."""

    async def take(self, stream_id: str, lost: Callable[[], None]) -> Lease:
        """Own *stream_id* from now on; whoever owned it before has lost it, as has this worker when *lost* is called.

        Raises:
            infra.errors.Unavailable: nobody can tell; the encoder should try again.
        """

    async def owned(self, stream_id: str) -> bool:
        """Whether any worker owns *stream_id*; one that died still does for a few seconds.

        Raises:
            infra.errors.Unavailable: nobody can tell.
        """


class _Always:
    """A lease that is never lost."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.held = True

    async def release(self) -> None:
        """As `Lease.release`."""
        self.held = False


class Alone:
    """The only worker there is."""

    async def take(self, stream_id: str, lost: Callable[[], None]) -> Lease:  # noqa: ARG002 - it is everybody's
        """As `Ownership.take`."""
        return _Always(0)

    async def owned(self, stream_id: str) -> bool:  # noqa: ARG002 - what this worker has, it knows
        """As `Ownership.owned`."""
        return False
