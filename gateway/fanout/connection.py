"""One WebSocket connection: bytes in, messages out, its own frames between the shared ones, and its end.

The protocol itself (handshake, masks, fragments, control frames, close codes) is the `websockets` package's sans-IO part;
this is its transport. Only data frames are written past it: they are whole, unmasked and uncompressed.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from gateway.auth import Principal
from gateway.fanout import ws
from gateway.fanout.pace import Pace
from gateway.fanout.sampling import any_cohort, cohort_of
from gateway.fanout.seat import Seat
from gateway.fanout.viewer import bounded, come_back_ms
from infra.clock import Clock
from schemas.socket import JoinStream, Reconnect

#: Bytes of a message, as of a request's body.
MAX_MESSAGE = 16 * 1024
#: Frames a second, and at once; past them a message is refused...
RATE, BURST = 50.0, 100.0
#: ... and so many refused in a row end the connection.
MAX_REFUSED = 500
#: Messages being worked on at once.
MAX_AT_WORK = 32
#: A peer that takes nothing of what was written for it alone (acks, errors, first deliveries) is ended at so many bytes.
MAX_WAITING = 256 * 1024
#: What is at work when a connection is to end has this long, and then the peer this long to answer the close frame.
FINISH_S = 5.0
CLOSE_S = 5.0


class Listener(Protocol):
    """Where messages go."""

    def heard(self, connection: "Connection", message: bytes, *, in_pace: bool) -> None:
        """A whole text message, which is UTF-8; out of pace it is only answered."""

    def refused(self, connection: "Connection", code: str, message: str) -> None:
        """Something came that is no message to work on."""

    def sent_away(self, connection: "Connection", *, come_back: bool) -> None:
        """The hub ends its viewer."""

    def taken(self, connection: "Connection") -> None:
        """It has taken all that was written."""


class Connection(asyncio.Protocol):
    """Takes over a connection after its request."""

    __slots__ = (
        "_clock",
        "_fragments",
        "_listener",
        "_on_lost",
        "_pace",
        "_protocol",
        "_refused",
        "_timer",
        "_waiting",
        "at_work",
        "closing",
        "cohort",
        "heard_at",
        "joins",
        "leaving",
        "lost",
        "named",
        "paused",
        "person",
        "place",
        "principal",
        "seat",
        "transport",
        "wanted",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        principal: Principal | None,
        person: int,
        place: str,
        listener: Listener,
        on_lost: Callable[["Connection"], None],
        clock: Clock,
    ) -> None:
        self.transport = transport
        self.principal = principal
        #: What it is counted as: `gateway.edge.quotas`.
        self.person = person
        self.named = principal is not None
        self.cohort = cohort_of(person) if principal is not None else any_cohort()
        self.place = place
        self.seat: Seat | None = None
        #: A join that waits until the peer has taken what it was sent for the one before.
        self.wanted: JoinStream | None = None
        #: How often a stream was joined or left: what was begun for an earlier join is dropped.
        self.joins = 0
        self.at_work = 0
        self.heard_at = clock.monotonic()
        self.paused = False
        #: Why it is about to be closed, while something is still at work.
        self.leaving: tuple[int, str] | None = None
        self.closing = False
        self.lost = False
        self._clock = clock
        self._listener = listener
        self._on_lost = on_lost
        self._pace = Pace(RATE, BURST, self.heard_at)
        self._refused = 0
        self._fragments: bytearray | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: Bytes of its own that have waited since the buffer was last empty.
        self._waiting = 0
        self._protocol = ServerProtocol(state=State.OPEN, max_size=MAX_MESSAGE)
        bounded(transport)

    def handshake(self, path: str, headers: list[tuple[bytes, bytes]]) -> Response:
        """The answer to the request: 101, or why not."""
        decoded = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
        return self._protocol.accept(Request(path, decoded))

    def say(self, message: Struct) -> None:
        """Send this peer a message of its own."""
        self.write(ws.message(message))

    def write(self, data: bytes) -> None:
        """Write whole frames of its own; they stand between shared ones, whatever its viewer is doing."""
        if self.lost or self.closing:
            return
        self.transport.write(data)
        if self.paused:
            self._waiting += len(data)
            if self._waiting > MAX_WAITING:
                self.transport.abort()

    def leave(self) -> None:
        """Watch nothing any more."""
        self.joins += 1
        self.wanted = None
        if self.seat is not None:
            self.seat.vacate()
            self.seat = None

    def end(self, code: int, reason: str, *, come_back: bool = False) -> None:
        """Close it once what is at work has been answered; with *come_back* it is told when to."""
        if self.lost or self.closing or self.leaving is not None:
            return
        self.leave()
        if come_back:
            self.say(Reconnect(retry_ms=come_back_ms()))
        self.leaving = code, reason
        self._timer = asyncio.get_running_loop().call_later(FINISH_S, self.close, code, reason)
        self.rested()

    def rested(self) -> None:
        """Something that was at work is done."""
        if self.leaving is not None and not self.at_work:
            self.close(*self.leaving)

    def close(self, code: int, reason: str) -> None:
        """Send a close frame; the peer answers it and the connection ends."""
        if self.closing or self.lost:
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
        self._flush()

    def sent_away(self, *, come_back: bool) -> None:
        """The hub ends its viewer."""
        self._listener.sent_away(self, come_back=come_back)

    def data_received(self, data: bytes) -> None:
        """Take frames, however they are cut."""
        self.heard_at = self._clock.monotonic()
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            if self.closing or not isinstance(frame, Frame):
                break
            self._take(frame)
        self._flush()

    def pause_writing(self) -> None:
        """Something waits in user space."""
        self.paused = True
        if self.seat is not None:
            self.seat.pause_writing()

    def resume_writing(self) -> None:
        """The buffer is empty again."""
        self.paused = False
        self._waiting = 0
        if self.seat is not None:
            self.seat.resume_writing()
        self._listener.taken(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """It is gone, whoever ended it."""
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
        self.leave()
        self._on_lost(self)

    def _take(self, frame: Frame) -> None:
        in_pace = self._pace.take(self.heard_at)
        self._refused = 0 if in_pace else self._refused + 1
        if self._refused > MAX_REFUSED:
            self.close(CloseCode.POLICY_VIOLATION, "too many messages")
        elif frame.opcode is Opcode.BINARY:
            self._listener.refused(self, "VALIDATION", "Messages are text: JSON objects with a type.")
        elif frame.opcode is Opcode.TEXT:
            self._fragments = bytearray()
        if frame.opcode in (Opcode.TEXT, Opcode.CONT) and self._fragments is not None:
            self._fragments += frame.data
            if frame.fin:
                message, self._fragments = bytes(self._fragments), None
                self._understand(message, in_pace=in_pace)

    def _understand(self, message: bytes, *, in_pace: bool) -> None:
        try:
            message.decode()
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "a text message that is not UTF-8")
            self._flush()
        else:
            self._listener.heard(self, message, in_pace=in_pace)

    def _flush(self) -> None:
        """Write what the protocol has to say: pongs and close frames."""
        if self.lost:
            return
        for data in self._protocol.data_to_send():
            if data:
                self.write(data)
            elif not self.transport.is_closing():
                self.transport.write_eof()
        if self._protocol.close_expected() and not self.closing:
            self.closing = True
            self.leave()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(CLOSE_S, self.transport.abort)
