"""What one worker at a time does of a recording: the contract; `infra.jetstream.claims` keeps it between workers."""

from typing import Protocol


class Claim(Protocol):
    """Held until it is released, or this process no longer renews it."""

    @property
    def held(self) -> bool:
        """Whether it may still be acted on. False also for whoever was paused for long."""

    async def release(self) -> None:
        """Give it up."""


class Claims(Protocol):
    """Gives each claim to one at a time."""

    async def take(self, what: str) -> Claim | None:
        """Claim *what*; `None` where somebody else has it.

        Raises:
            infra.errors.Unavailable: nobody can tell.
        """


class _Own:
    def __init__(self, held: set[str], what: str) -> None:
        self._all = held
        self._what = what

    @property
    def held(self) -> bool:
        """As `Claim.held`."""
        return self._what in self._all

    async def release(self) -> None:
        """As `Claim.release`."""
        self._all.discard(self._what)


class Unshared:
    """Claims of the only worker there is."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    async def take(self, what: str) -> Claim | None:
        """As `Claims.take`."""
        if what in self._held:
            return None
        self._held.add(what)
        return _Own(self._held, what)
