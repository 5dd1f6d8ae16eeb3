"""Poison messages: what cannot be handled, kept with its reason so that the rest goes on.

The log `DEAD` is bounded and drops its oldest; a dead letter names where it came from, and whatever is still in the log
can be read there in full.
"""

from infra.jetstream.publisher import Publisher
from infra.jetstream.pull import Delivery
from schemas import subjects

#: Bytes of the original payload that are kept: enough to see what it is, and 10,000 of them stay below 1 GB.
MAX_PAYLOAD = 64 * 1024
MAX_HEADER = 500


class DeadLetters:
    """Where one process puts what it cannot handle."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def put(self, delivery: Delivery, reason: str) -> None:
        """Store the message under `dead.<consumer>`; once, however often the same one is put within two minutes.

        Raises:
            Unavailable: not acknowledged; the message must not be given up yet.
        """
        headers = {
            "Ovation-Reason": reason,
            "Ovation-Subject": delivery.subject,
            "Ovation-Log": delivery.log,
            "Ovation-Seq": str(delivery.seq),
            "Ovation-Attempt": str(delivery.attempt),
            "Ovation-Bytes": str(len(delivery.payload)),
            "Ovation-Msg-Id": delivery.msg_id or "",
        }
        await self._publisher.publish(
            subjects.dead(delivery.consumer),
            delivery.payload[:MAX_PAYLOAD],
            f"dead:{delivery.log}:{delivery.consumer}:{delivery.seq}",
            {name: _one_line(value) for name, value in headers.items() if value},
        )


def _one_line(text: str) -> str:
    """A header's value: a line break would end the header, and an undecodable message chooses part of its reason."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text[:MAX_HEADER])
