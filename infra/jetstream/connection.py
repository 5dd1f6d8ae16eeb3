"""One NATS connection per process: its readiness, and what runs when it comes back."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import (
    ConnectionClosedError,
    Error,
    NoRespondersError,
    NoServersError,
    OutboundBufferLimitError,
    StaleConnectionError,
)
from nats.errors import TimeoutError as NatsTimeout

from infra.clock import Clock, SystemClock
from infra.errors import Unavailable
from infra.jetstream.inbox import Inbox
from infra.jetstream.wire import TakeMessage, Wire, header_lines
from infra.telemetry import logs

log = logs.get(__name__)

#: A stopped broker answers no ping: two missed pings of 2 s are noticed within 6 s, before a post gives up at 10 s.
PING_S = 2
PINGS_OUT = 2
RECONNECT_WAIT_S = 0.2
REQUEST_S = 2.0


def _nothing() -> None:
    """Where nobody else knows of a subscription."""


class Subscription:
    """A core subscription that can be ended."""

    def __init__(self, handle: NatsSubscription, forget: Callable[[], object] = _nothing) -> None:
        self._handle = handle
        self._forget = forget

    async def end(self) -> None:
        """Take nothing more, and unsubscribe; silently, when the connection is gone already."""
        self._forget()
        # nats-py raises several kinds for "already gone", which is what is wanted.
        with contextlib.suppress(Exception):
            await self._handle.unsubscribe()


class Connection:
    """A connection that comes back by itself; `up` tells whether requests can be answered now."""

    def __init__(self, url: str, name: str, clock: Clock | None = None) -> None:
        """*url* is one or more `nats://host:port`, comma separated; *name* is shown in the server's monitoring."""
        self.servers = [part.strip() for part in url.split(",") if part.strip()]
        #: For people: what stands before an @ is nobody's business.
        self.shown = ", ".join(re.sub(r"//[^/@]*@", "//", each) for each in self.servers)
        self.name = name
        self.clock = clock or SystemClock()
        self.nc: Client = Client()
        self.inbox = Inbox()
        self._wire: Wire
        self.up = asyncio.Event()
        self._down_since = self.clock.monotonic()
        self._on_up: list[Callable[[], Awaitable[None]]] = []
        self._on_down: list[Callable[[], None]] = []
        self._resuming: set[asyncio.Task[None]] = set()

    def on_up(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Run *hook* after each re-connection: whatever was sent on core NATS meanwhile is lost and must be read again."""
        self._on_up.append(hook)

    def on_down(self, hook: Callable[[], None]) -> None:
        """Run *hook* when the connection is lost."""
        self._on_down.append(hook)

    def off_up(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Forget a hook."""
        with contextlib.suppress(ValueError):
            self._on_up.remove(hook)

    @property
    def down_s(self) -> float:
        """For how many seconds the broker has been away; 0 while it is there."""
        return 0.0 if self.up.is_set() else self.clock.monotonic() - self._down_since

    async def open(self, wait_s: float = 30.0) -> "Connection":
        """Connect, trying for *wait_s* seconds.

        Raises:
            Unavailable: no server answered in that time.
        """
        deadline = self.clock.monotonic() + wait_s
        while True:
            try:
                # The client itself goes on trying for ever, without a word.
                async with asyncio.timeout(max(0.0, deadline - self.clock.monotonic())):
                    await self._connect()
            except (OSError, Error, TimeoutError) as error:
                if self.clock.monotonic() >= deadline:
                    cause = str(error) or "refused, or silent"
                    msg = f"no NATS server answers at {self.shown} ({cause}); start one or set OVATION_NATS_URL"
                    raise Unavailable(msg) from error
                await asyncio.sleep(RECONNECT_WAIT_S)
            else:
                self.up.set()
                return self

    async def _connect(self) -> None:
        self.nc = client = Client()
        self._wire = Wire(client, self.inbox.prefix, self.inbox.take)
        client._ps = self._wire  # type: ignore[assignment]  # noqa: SLF001 - see wire.py
        client._parse_header_lines = header_lines  # type: ignore[method-assign]  # noqa: SLF001 - see wire.py
        await client.connect(
            servers=self.servers,
            name=self.name,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # seconds, and it only ever sleeps them
            connect_timeout=2,
            ping_interval=PING_S,
            max_outstanding_pings=PINGS_OUT,
            error_cb=self._error,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
            closed_cb=self._closed,
        )
        await self.inbox.open(client)

    async def close(self) -> None:
        """Close without waiting for what is still queued; everything that matters was acknowledged."""
        for task in self._resuming:
            task.cancel()
        self.up.clear()
        self.inbox.lose()
        if not self.nc.is_closed:
            await self.nc.close()

    async def request(
        self, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None, timeout_s: float = REQUEST_S
    ) -> Msg:
        """Ask and wait for one answer.

        Raises:
            Unavailable: the broker is away, nobody listens on *subject*, or no answer came in *timeout_s*.
        """
        if not self.up.is_set():
            msg = f"NATS at {self.shown} is away"
            raise Unavailable(msg)
        try:
            return await self.nc.request(subject, payload, timeout=timeout_s, headers=headers)
        except NoRespondersError as error:
            msg = f"nobody answers on {subject}: JetStream is starting, or the topology is not applied"
            raise Unavailable(msg) from error
        except (NatsTimeout, ConnectionClosedError, StaleConnectionError, OutboundBufferLimitError, OSError) as error:
            msg = f"NATS did not answer on {subject} within {timeout_s:g} s"
            raise Unavailable(msg) from error

    async def subscribe(self, subject: str, cb: Callable[[Msg], Awaitable[None]]) -> "Subscription":
        """Subscribe on core NATS; the server knows of it when this returns.

        Raises:
            Unavailable: the broker is away, or says nothing; there is no subscription then.
        """
        return Subscription(await self._subscribed(subject, cb))

    async def receive(self, subject: str, take: TakeMessage) -> "Subscription":
        """As `subscribe`, past nats-py's queue and task: *take* is called as messages arrive, and must neither block nor raise.

        Raises:
            Unavailable: as `subscribe`.
        """
        # Known before the server is told, so that the first message finds it.
        number, taken = b"%d" % (self.nc._sid + 1), self._wire.taken  # noqa: SLF001 - see wire.py
        taken[number] = take
        try:
            return Subscription(await self._subscribed(subject), lambda: taken.pop(number, None))
        except BaseException:
            del taken[number]
            raise

    async def _subscribed(self, subject: str, cb: Callable[[Msg], Awaitable[None]] | None = None) -> NatsSubscription:
        sub: NatsSubscription | None = None
        try:
            sub = await self.nc.subscribe(subject, cb=cb)
            await self.nc.flush(timeout=int(REQUEST_S))
        except BaseException as error:
            if sub is not None:
                # nats-py would have it again after every reconnect.
                await Subscription(sub).end()
            if isinstance(error, (NatsTimeout, ConnectionClosedError, StaleConnectionError, OSError)):
                msg = f"NATS at {self.shown} is away"
                raise Unavailable(msg) from error
            raise
        return sub

    async def publish(self, subject: str, payload: bytes) -> None:
        """Publish on core NATS and forget: for what the next second repeats. Silently nothing while the broker is away."""
        if self.up.is_set():
            with contextlib.suppress(ConnectionClosedError, OutboundBufferLimitError, OSError):
                await self.nc.publish(subject, payload)

    async def _disconnected(self) -> None:
        if self.up.is_set():
            self.up.clear()
            self._down_since = self.clock.monotonic()
            log.warning("nats away", servers=self.shown)
        self.inbox.lose()
        for hook in self._on_down:
            hook()

    async def _reconnected(self) -> None:
        log.info("nats back", down_s=round(self.down_s, 1))
        self.up.set()
        for hook in self._on_up:
            # Not awaited here: the client library reads nothing from the socket while this callback runs.
            task = asyncio.create_task(self._resume(hook))
            self._resuming.add(task)
            task.add_done_callback(self._resuming.discard)

    async def _resume(self, hook: Callable[[], Awaitable[None]]) -> None:
        try:
            await hook()
        except Unavailable as error:
            log.warning("not resumed after reconnect; the periodic checks will", cause=str(error))

    async def _closed(self) -> None:
        self.up.clear()
        self.inbox.lose()

    async def _error(self, error: Exception) -> None:
        if not isinstance(error, (NoServersError, ConnectionRefusedError)):
            log.warning("nats error", error=repr(error))
