"""The feed: the republished copy of a live log on core NATS. Fast, and allowed to lose: whoever follows it checks.

The header `Nats-Last-Sequence` is a check and never a `prev`: above the follower's own tail it proves a loss, below it
something was deleted.
"""

import re
from collections.abc import Callable

from msgspec import Struct

from infra.jetstream.connection import Connection, Subscription
from infra.jetstream.reader import log_time
from infra.jetstream.wire import header_lines
from infra.telemetry import logs

log = logs.get(__name__)

#: As nats-server writes them, in a tenth of the time that it takes to read whatever lines there are.
_AS_WRITTEN = re.compile(rb"\r\nNats-Sequence: ([0-9]+)\r\nNats-Time-Stamp: ([0-9TZ:.-]+)\r\nNats-Last-Sequence: ([0-9]+)\r\n")


class FeedMessage(Struct, frozen=True):
    """One republished message; `last_seq` is what the log says came before it on this subject."""

    seq: int
    last_seq: int
    at_ms: int
    payload: bytes


class Feed:
    """Core subscriptions of a gateway."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def up(self) -> bool:
        """Whether the broker is there; while it is not, nothing is told and nothing comes."""
        return self._connection.up.is_set()

    async def follow(self, subject: str, take: Callable[[FeedMessage], None]) -> Subscription:
        """Call *take* for every message republished on *subject* from now on; it must not block.

        Raises:
            Unavailable: the broker is away.
        """

        def received(named: bytes, header: bytes | None, payload: bytes) -> None:
            try:
                if header is not None and (message := republished(header, payload)) is not None:
                    take(message)
            except Exception:
                log.exception("a message of the feed was not taken", subject=named.decode(errors="replace"))

        return await self._connection.receive(subject, received)

    async def listen(self, subject: str, take: Callable[[str, bytes], None]) -> Subscription:
        """Call *take* with subject and payload of every core message on *subject*: pulse and presence.

        Raises:
            Unavailable: the broker is away.
        """

        def received(named: bytes, _header: bytes | None, payload: bytes) -> None:
            try:
                take(named.decode(), payload)
            except Exception:
                log.exception("a message was not taken", subject=named.decode(errors="replace"))

        return await self._connection.receive(subject, received)

    async def tell(self, subject: str, payload: bytes) -> None:
        """Publish an ephemeral number; nothing happens while the broker is away."""
        await self._connection.publish(subject, payload)


def republished(header: bytes, payload: bytes) -> FeedMessage | None:
    """The message with a republished one's *header*, as it came; `None` for one that has come from no log.

    Raises:
        ValueError: it says where it is in its log, but not in numbers.
    """
    found = _AS_WRITTEN.search(header)
    if found is not None:
        seq, at, last = found.groups()
        return FeedMessage(int(seq), int(last), log_time(at.decode()), payload)
    lines = header_lines(header)
    if "Nats-Sequence" not in lines:
        return None
    at_ms = log_time(lines["Nats-Time-Stamp"])
    return FeedMessage(int(lines["Nats-Sequence"]), int(lines.get("Nats-Last-Sequence", 0)), at_ms, payload)
