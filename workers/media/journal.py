"""Where this worker's media events are told (the contract). `ledger.py` writes them to the log."""

from typing import Protocol

from schemas.media import Event


class Journal(Protocol):
    """Takes events."""

    @property
    def worker(self) -> str:
        """Who tells, for people who look."""

    def tell(self, event: Event) -> None:
        """Keep *event*, soon, after those told before it of the same stream; returns at once and never raises."""


class Unkept:
    """A journal for who wants none."""

    worker = ""

    def tell(self, event: Event) -> None:
        """As `Journal.tell`."""
