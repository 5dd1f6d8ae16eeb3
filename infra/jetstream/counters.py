"""Counter logs (`allow_msg_counter`): durable sums without a database."""

import msgspec

from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import Reader
from schemas import subjects


class _Value(msgspec.Struct):
    val: str


class Counters:
    """Adds to and reads the counters of streams."""

    def __init__(self, publisher: Publisher, reader: Reader) -> None:
        self._publisher = publisher
        self._reader = reader

    async def add(self, shard: int, stream_id: str, name: str, by: int, msg_id: str) -> int | None:
        """Add *by* once under *msg_id* and return the new total; `None` for a repetition, whose answer names no total.

        Raises:
            Unavailable: not acknowledged; safe to repeat with the same id.
        """
        subject = subjects.count(shard, stream_id, name)
        return (await self._publisher.publish(subject, b"", msg_id, {"Nats-Incr": f"{by:+d}"})).val

    async def totals(self, shard: int, stream_id: str) -> dict[str, int]:
        """All counters of a stream.

        Raises:
            Unavailable: the log did not answer.
        """
        found = await self._reader.tails(subjects.counts_log(shard), [subjects.count(shard, stream_id, "*")])
        return {
            subject.rpartition(".")[2]: int(msgspec.json.decode(message.payload, type=_Value).val)
            for subject, message in found.items()
        }
