"""Durable pull consumers: bounded batches, acknowledged one by one, through broker restarts and pauses.

The consumer itself comes from the files of `nats/`; nothing is created here. One pull request is open at a time. The
server answers it with messages, or at least with a heartbeat every second; a request that stays silent for three was
lost with a connection, a leader or a restarted server, and is made again. Whatever was on its way then comes back after
the consumer's `ack_wait`, so everything pulled is handled at least once and possibly more often.
"""

import asyncio
import itertools
import re
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, OutboundBufferLimitError, StaleConnectionError

from infra.errors import Unavailable
from infra.jetstream.connection import Connection, Subscription
from infra.telemetry import logs

log = logs.get(__name__)

EXPIRES_S = 30.0
HEARTBEAT_S = 1.0
LOST_S = 3.0
#: Bytes one request may bring: 64 of the largest items.
MAX_BYTES = 16 * 1024**2
_ENDS_BY_ITSELF = re.compile(r"404|408|409 (Message Size Exceeds MaxBytes|Batch Completed)", re.IGNORECASE)


class Delivery(Struct, frozen=True, kw_only=True):
    """One message, delivered once more.

    `seq` is its place in the log and `at_ms` when the log took it; `delivery` counts the consumer's deliveries of any
    message, without a hole; `attempt` those of this message, from 1.
    """

    log: str
    consumer: str
    subject: str
    seq: int
    at_ms: int
    delivery: int
    attempt: int
    payload: bytes
    headers: dict[str, str]
    reply: str

    @property
    def msg_id(self) -> str | None:
        """The `Nats-Msg-Id` it was stored under."""
        return self.headers.get("Nats-Msg-Id")


class ConsumerState(Struct, frozen=True):
    """Where a consumer is. Every message up to `ack_floor` was acknowledged or no longer exists.

    `delivered` is the highest seq ever delivered to anybody, `deliveries` the number of deliveries; `waiting` messages
    were never delivered, `unacknowledged` ones were.
    """

    ack_floor: int
    delivered: int
    deliveries: int
    waiting: int
    unacknowledged: int


class Pull:
    """Messages of one durable consumer, in the order of the log but for redeliveries."""

    def __init__(self, connection: Connection, log_name: str, durable: str, batch: int = 500) -> None:
        """*batch* bounds what one `fetch` returns and, with `MAX_BYTES`, what waits here in memory."""
        self.log_name = log_name
        self.durable = durable
        self._connection = connection
        self._batch = batch
        self._arrived: deque[Delivery] = deque()
        self._event = asyncio.Event()
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._tokens = itertools.count()
        self._token = ""
        self._left = 0
        self._heard = 0.0
        self._refused = ""

    async def fetch(self, wait_s: float = 1.0, gather_s: float = 0.0) -> list[Delivery]:
        """Up to *batch* messages; none when none came within *wait_s*.

        Once there is one, further ones are waited for until there are *batch* or *gather_s* is over, also where some had come
        before this was asked.

        Raises:
            Unavailable: the broker is away, or nobody offers messages of this consumer.
        """
        if not self._arrived:
            self._event.clear()
            await self._request()
            try:
                async with asyncio.timeout(wait_s):
                    await self._event.wait()
            except TimeoutError:
                self._check_silence()
        if 0 < len(self._arrived) < self._batch and gather_s > 0:
            await self._gather(gather_s)
        if not self._arrived and self._refused:
            cause, self._refused = self._refused, ""
            raise Unavailable(cause)
        return [self._arrived.popleft() for _ in range(min(self._batch, len(self._arrived)))]

    async def state(self) -> ConsumerState:
        """Where the consumer is, from its leader.

        Raises:
            Unavailable: it does not answer, or does not exist.
        """
        reply = await self._connection.request(f"$JS.API.CONSUMER.INFO.{self.log_name}.{self.durable}")
        answer = msgspec.json.decode(reply.data)
        if error := answer.get("error"):
            msg = f"{self._name}: {error.get('description', error)}; apply the topology"
            raise Unavailable(msg)
        floor, delivered = answer["ack_floor"], answer["delivered"]
        return ConsumerState(
            floor["stream_seq"],
            delivered["stream_seq"],
            delivered["consumer_seq"],
            answer["num_pending"],
            answer["num_ack_pending"],
        )

    async def ack(self, deliveries: Iterable[Delivery]) -> None:
        """Never offer these again. Lost acknowledgements only mean a redelivery."""
        await self._answer(deliveries, b"+ACK")

    async def nak(self, deliveries: Iterable[Delivery], delay_s: float = 0.0) -> None:
        """Offer these again after *delay_s*."""
        await self._answer(deliveries, b'-NAK {"delay": %d}' % int(delay_s * 1e9))

    async def term(self, delivery: Delivery, reason: str) -> None:
        """Never offer this again, though it was not handled."""
        await self._answer([delivery], b"+TERM " + reason.encode()[:200])

    async def keep(self, held: Sequence[Delivery]) -> None:
        """Say that *held*, and what waits here for the next `fetch`, is worked on: starts their `ack_wait` anew."""
        await self._answer([*held, *self._arrived], b"+WPI")

    async def close(self) -> None:
        """Take no more, and give back at once what was not fetched."""
        self._connection.off_up(self._reconnected)
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._connection.up.is_set():
            await subscription.end()
        await self.nak(self._arrived)
        self._arrived.clear()

    @property
    def _name(self) -> str:
        return f"consumer {self.durable} of {self.log_name}"

    async def _request(self) -> None:
        now = self._connection.clock.monotonic()
        if not self._connection.up.is_set():
            msg = f"NATS is away, {self._name} cannot be read"
            raise Unavailable(msg)
        if self._subscription is None:
            inbox = self._connection.nc.new_inbox()
            self._subscription = await self._connection.subscribe(f"{inbox}.*", self._take)
            self._inbox = inbox
            self._connection.on_up(self._reconnected)
        if self._token and self._left > 0 and now - self._heard < LOST_S:
            return
        self._token, self._left, self._heard = str(next(self._tokens)), self._batch - len(self._arrived), now
        body = {
            "batch": self._left,
            "expires": int(EXPIRES_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
            "max_bytes": MAX_BYTES,
        }
        await self._publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self.log_name}.{self.durable}",
            msgspec.json.encode(body),
            f"{self._inbox}.{self._token}",
        )

    async def _gather(self, gather_s: float) -> None:
        # While the broker is away, what is here is handled.
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(gather_s):
                while len(self._arrived) < self._batch:
                    self._event.clear()
                    await self._request()
                    await self._event.wait()
                    if not self._token and self._left > 0:
                        # The server has ended the request early: it brought all the bytes it may, or `fetch` tells why.
                        return

    async def _reconnected(self) -> None:
        # The open request ended with the old connection; waiting for its silence would cost three seconds.
        self._token = ""
        self._event.set()

    def _check_silence(self) -> None:
        silence = self._connection.clock.monotonic() - self._heard
        if self._token and silence > LOST_S:
            self._token = ""
            self._refused = f"{self._name} has been silent for {silence:.0f} s; asking again"

    async def _take(self, msg: Msg) -> None:
        headers = msg.headers or {}
        if (status := headers.get("Status")) is not None:
            self._take_status(msg.subject.rpartition(".")[2], status, headers.get("Description", ""))
            return
        try:
            delivery = _delivery(msg)
        except ValueError as error:
            log.warning("delivery without a place in the log skipped", subject=msg.subject, cause=str(error))
            return
        self._heard = self._connection.clock.monotonic()
        self._left -= 1
        self._arrived.append(delivery)
        self._event.set()

    def _take_status(self, token: str, status: str, description: str) -> None:
        if token != self._token:
            return
        self._heard = self._connection.clock.monotonic()
        if status == "100":
            return
        self._token = ""
        if not _ENDS_BY_ITSELF.match(f"{status} {description}"):
            text = "JetStream is starting, or the topology is not applied" if status == "503" else description
            self._refused = f"{self._name} offers nothing: {text}"
        self._event.set()

    async def _answer(self, deliveries: Iterable[Delivery], payload: bytes) -> None:
        for delivery in list(deliveries):
            if not self._connection.up.is_set():
                return
            await self._publish(delivery.reply, payload)

    async def _publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        try:
            await self._connection.nc.publish(subject, payload, reply=reply)
        except (ConnectionClosedError, StaleConnectionError, OutboundBufferLimitError, OSError) as error:
            msg = f"NATS is away, {self._name} cannot be answered"
            raise Unavailable(msg) from error


def _delivery(msg: Msg) -> Delivery:
    """Read a message's place out of its reply subject (ADR-15 of NATS: 9 tokens, or 11 and more with a domain)."""
    tokens = msg.reply.split(".")
    if tokens[:2] != ["$JS", "ACK"] or len(tokens) < 9:
        text = f"{msg.reply[:100]!r} is no acknowledgement subject"
        raise ValueError(text)
    log_name, consumer, attempt, seq, delivery, nanoseconds = tokens[4:10] if len(tokens) >= 11 else tokens[2:8]
    return Delivery(
        log=log_name,
        consumer=consumer,
        subject=msg.subject,
        seq=int(seq),
        at_ms=int(nanoseconds) // 1_000_000,
        delivery=int(delivery),
        attempt=int(attempt),
        payload=msg.data,
        headers=msg.headers or {},
        reply=msg.reply,
    )
