"""Counter logs (`allow_msg_counter`): durable sums without a database.

A counter is split into parts, one subject each: one subject takes 4,000 additions a second on three replicas (measured),
and gateways that write to subjects of their own wait for nobody. A counter's total is the sum over its parts.

A part keeps its last 8 messages, not only the newest: after a crash nats-server knows the Msg-Ids of what is stored and
no others, and an addition whose PubAck was lost would be counted twice once another one had taken its place.
"""

import asyncio

import msgspec

from infra.errors import Unavailable
from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import LAG_RETRIES, LAG_WAIT_S, LogMessage, Reader
from infra.jetstream.tally import Parts
from schemas import subjects


class _Value(msgspec.Struct):
    val: str


class Counters:
    """Adds to one part of the counters of streams, and reads all parts."""

    def __init__(self, publisher: Publisher, reader: Reader, part: int = 0) -> None:
        """*part* is where this process adds; processes that share one are correct, and slower."""
        self._publisher = publisher
        self._reader = reader
        self.part = part

    async def add(self, shard: int, stream_id: str, name: str, by: int, msg_id: str) -> int | None:
        """Add *by* once under *msg_id* and return the part's value, which contains it.

        `None` when it is counted and its value cannot be read: a repetition's PubAck names none.

        Raises:
            Unavailable: not acknowledged; safe to repeat with the same id, within the log's duplicate window.
        """
        subject = subjects.count(shard, stream_id, name, self.part)
        ack = await self._publisher.publish(subject, b"", msg_id, {"Nats-Incr": f"{by:+d}"})
        return ack.val if ack.val is not None else await self._read_past(shard, subject, ack.seq)

    async def parts(self, shard: int, stream_id: str) -> Parts:
        """All parts of all counters of a stream. A lagging replica may answer: merge into what is known (`Tally`).

        Raises:
            Unavailable: the log did not answer.
        """
        found = await self._reader.tails(subjects.counts_log(shard), [subjects.counts(shard, stream_id)])
        parts: Parts = {}
        for subject, message in found.items():
            name, part = subjects.parse_count(subject)
            parts.setdefault(name, {})[part] = _value(message)
        return parts

    async def totals(self, shard: int, stream_id: str) -> dict[str, int]:
        """The total of each counter of a stream.

        Raises:
            Unavailable: the log did not answer.
        """
        return {name: sum(values.values()) for name, values in (await self.parts(shard, stream_id)).items()}

    async def _read_past(self, shard: int, subject: str, seq: int) -> int | None:
        """The value of *subject* at *seq* or later."""
        for _ in range(LAG_RETRIES):
            try:
                last = await self._reader.last(subjects.counts_log(shard), subject)
            except Unavailable:
                return None
            if last is not None and last.seq >= seq:
                return _value(last)
            await asyncio.sleep(LAG_WAIT_S)
        return None


def _value(message: LogMessage) -> int:
    return int(msgspec.json.decode(message.payload, type=_Value).val)
