"""Poison told from an outage: a message is given up only while another one is taken, and only after several such proofs.

When a batch fails, one message that was handled before is handled again: it may be, any number of times. Where that fails
too, nothing is taken at the moment, and everything waits. Where it succeeds, the batch is halved until what fails stands
alone. That one is offered again, later and later, while all others go on; the last time it is dead-lettered.
"""

import random
from collections import OrderedDict
from collections.abc import Sequence

from infra.errors import Refused, Unavailable
from infra.jetstream.pull import Delivery
from infra.telemetry import logs
from workers.handler import Done, Handler, Outcome, Reject, Retry

log = logs.get(__name__)

#: Before a message that failed alone is offered again, times how often it has.
AGAIN_S = 0.5
#: Messages of a failed batch that are tried, when there is no proof from before or it fails itself.
TRIED = 8
#: Messages whose failures are counted. One that is forgotten is only tried more often.
COUNTED = 1000


class Unproven(Unavailable):
    """Nothing of these is taken, nor what was before: it is an outage, unless other messages tell otherwise."""


class Apart:
    """Around one handler; every failure that is no `Unavailable` of its own, and every `Refused`, is looked into."""

    def __init__(self, handler: Handler, log_name: str, max_attempts: int) -> None:
        """*max_attempts*: failures of one message, each with its proof, before it is dead-lettered."""
        self._handler = handler
        self._log_name = log_name
        self._max_attempts = max_attempts
        self._proof: Delivery | None = None
        self._failures: OrderedDict[int, int] = OrderedDict()

    async def handle(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """One outcome for each message, as of the handler.

        Raises:
            Unproven: the handler fails whatever it is given.
            Unavailable: it waits for something.
        """
        try:
            return await self._taken(batch)
        except Refused as error:
            failure: Exception = error
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - it is looked into, and said with its trace when the message stands alone
            failure = error
        if not await self._takes_anything(batch):
            msg = f"nothing is taken at the moment: {_words(failure)}"
            raise Unproven(msg) from failure
        if len(batch) == 1:
            return [self._failed(batch[0], failure)]
        middle = len(batch) // 2
        return [*await self.handle(batch[:middle]), *await self.handle(batch[middle:])]

    async def _taken(self, batch: Sequence[Delivery]) -> list[Outcome]:
        outcomes = list(await self._handler.handle(batch))
        done = [delivery for delivery, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Done)]
        if done:
            self._proof = done[-1]
        for delivery in done if self._failures else ():
            self._failures.pop(delivery.seq, None)
        return outcomes

    async def _takes_anything(self, batch: Sequence[Delivery]) -> bool:
        proofs = [self._proof] if self._proof else []
        for each in [*proofs, *random.sample(batch, min(TRIED, len(batch)))]:
            try:
                [outcome] = await self._taken([each])
            except Refused:
                continue
            except Unavailable:
                raise
            except Exception:  # noqa: BLE001, S112 - it is the failure that is looked into, and said once
                continue
            if isinstance(outcome, Done):
                return True
        return False

    def _failed(self, delivery: Delivery, failure: Exception) -> Outcome:
        times = self._failures.pop(delivery.seq, 0) + 1
        if times >= self._max_attempts:
            verb = "refused" if isinstance(failure, Refused) else "handler crashed"
            return Reject(f"{verb} {times} times, last with {_words(failure)}")
        self._failures[delivery.seq] = times
        if len(self._failures) > COUNTED:
            self._failures.popitem(last=False)
        if times == 1:
            trace = None if isinstance(failure, Refused) else failure
            log.error("set apart", log=self._log_name, seq=delivery.seq, cause=_words(failure), exc_info=trace,
                      next=f"it is tried {self._max_attempts} times while others are taken, then dead-lettered")  # fmt: skip
        return Retry(AGAIN_S * times)


def _words(failure: Exception) -> str:
    return str(failure) if isinstance(failure, Unavailable) else repr(failure)
