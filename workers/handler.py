"""What a worker does with a batch, and the three ways a message can end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from infra.jetstream.pull import Delivery


@dataclass(frozen=True, slots=True)
class Done:
    """The work is durable: acknowledge."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: offer it again after `delay_s` seconds."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Reject:
    """Never: dead-letter it with `reason`."""

    reason: str


Outcome = Done | Retry | Reject


class Handler(Protocol):
    """The work itself. Every message may come more than once and, after a crash, out of order."""

    def fetched(self, batch: Sequence[Delivery]) -> None:
        """Take note of what came, once, in its order, before any of it is handled."""

    async def handle(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Do the work of *batch* durably and return one outcome for each message, in its order.

        Raises:
            Unavailable: nothing can be done for now; the same batch is handled again, for as long as it takes.
        """

    def rejected(self, delivery: Delivery) -> None:
        """Take note that *delivery* is in the dead-letter log by now, whoever decided it."""

    async def tend(self) -> None:
        """Do what is due between two batches; called at least once a second.

        Raises:
            Unavailable: not for now; called again.
        """
