"""A durable write: what is acknowledged here is in the log."""

import asyncio
import random

import msgspec

from infra.errors import LimitReached, Unavailable
from infra.jetstream.connection import Connection

FIRST_BACKOFF_S = 0.05
LAST_BACKOFF_S = 1.0

#: JetStream API error codes (nats-server's errors.json).
WRONG_LAST_MSG_ID = 10070
WRONG_LAST_SEQ = 10071
STORE_FAILED = 10077


class _ApiError(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    val: str | None = None
    error: _ApiError | None = None


_decoder = msgspec.json.Decoder(_Answer)


class PubAck(msgspec.Struct, frozen=True):
    """Where a message is stored; *duplicate* when it already was, under the same Msg-Id. *val* is a counter's new value."""

    seq: int
    duplicate: bool = False
    val: int | None = None


class Refused(Exception):
    """The log refused the message for good; `err_code` is nats-server's own."""

    def __init__(self, err_code: int, description: str) -> None:
        super().__init__(description)
        self.err_code = err_code


class Publisher:
    """Publishes and waits for the PubAck, with the same Msg-Id again while the broker changes its leader (up to 7 s seen)."""

    def __init__(self, connection: Connection, wait_s: float) -> None:
        """*wait_s*: how long a broker that does not answer is waited for before `Unavailable`."""
        self._connection = connection
        self._wait_s = wait_s

    async def publish(
        self, subject: str, payload: bytes, msg_id: str | None = None, headers: dict[str, str] | None = None
    ) -> PubAck:
        """Store *payload* once under *msg_id*. Without one the first failure whose outcome is unknown ends it.

        Raises:
            Unavailable: not acknowledged within `wait_s`, or the log or its disk is full; safe to repeat with the same id.
            Refused: an expectation in *headers* did not hold.
        """
        header = _header(msg_id, headers)
        connection = self._connection
        began = connection.clock.monotonic()
        try:
            return _acknowledged(subject, await connection.inbox.ask(subject, payload, header))
        except Unavailable as error:
            elapsed = connection.clock.monotonic() - began
            # An outage that has already lasted as long as we would wait is answered at once.
            was_down = min(max(0.0, connection.down_s - elapsed), self._wait_s)
            cause, deadline = error, began + self._wait_s - was_down
        return await self._again(subject, payload, header, msg_id, cause, deadline)

    async def _again(
        self, subject: str, payload: bytes, header: bytes, msg_id: str | None, error: Unavailable, deadline: float
    ) -> PubAck:
        """The further attempts, with growing pauses, until *deadline* (monotonic)."""
        connection, backoff = self._connection, FIRST_BACKOFF_S
        while True:
            left = deadline - connection.clock.monotonic()
            if left <= 0 and connection.up.is_set() and not isinstance(error, Full):
                # nats-server answers nothing at all when the write to its disk fails (seen on 2.15).
                msg = f"{error}; it is reachable, so its disk may be full: see the nats-server log"
                raise Unavailable(msg) from error
            if left <= 0 or isinstance(error, Full) or (msg_id is None and connection.up.is_set()):
                raise error
            await self._pause(min(backoff * random.uniform(0.5, 1.5), left))  # noqa: S311 - jitter, not secrecy
            backoff = min(backoff * 2, LAST_BACKOFF_S)
            try:
                return _acknowledged(subject, await connection.inbox.ask(subject, payload, header))
            except Unavailable as again:
                error = again

    async def find(self, subject: str, msg_id: str) -> int | None:
        """The seq stored under *msg_id* within the duplicate window, without storing anything.

        An expectation that cannot hold is refused, but only after nats-server has looked the id up.
        """
        try:
            ack = await self.publish(subject, b"", msg_id, {"Nats-Expected-Last-Msg-Id": "-"})
        except Refused as refusal:
            if refusal.err_code == WRONG_LAST_MSG_ID:
                return None
            raise
        return ack.seq

    async def _pause(self, seconds: float) -> None:
        try:
            # Wake up early when the broker returns.
            if self._connection.up.is_set():
                await asyncio.sleep(seconds)
            else:
                await asyncio.wait_for(self._connection.up.wait(), seconds)
        except TimeoutError:
            return


def _header(msg_id: str | None, headers: dict[str, str] | None) -> bytes:
    """The lines of a message's header, without what frames them.

    Raises:
        ValueError: a value would end its line.
    """
    if not headers:
        return b"Nats-Msg-Id: %b\r\n" % msg_id.encode() if msg_id else b""
    lines = {**headers, **({"Nats-Msg-Id": msg_id} if msg_id else {})}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        msg = f"a header of NATS may hold no line break: {lines!r}"
        raise ValueError(msg)
    return text.encode()


def _acknowledged(subject: str, reply: bytes) -> PubAck:
    answer = _decoder.decode(reply)
    if answer.error is None:
        if answer.seq == 0:
            # A duplicate of a message whose own fate is still being decided by the quorum: ask again.
            msg = f"{subject}: acknowledged without a sequence, the quorum is still deciding"
            raise Unavailable(msg)
        return PubAck(answer.seq, answer.duplicate, int(answer.val) if answer.val is not None else None)
    raise _refusal(subject, answer.error)


class Full(Unavailable):
    """The log or its disk is full: waiting for seconds does not help, but nothing was dropped."""


class SubjectFull(LimitReached):
    """The subject holds as many messages as it may."""


def _refusal(subject: str, error: _ApiError) -> Exception:
    text = error.description
    if error.err_code == STORE_FAILED:
        if "per subject" in text:
            return SubjectFull(subject, 1)
        msg = f"the log of {subject} takes nothing more ({text}); raise OVATION_LIVE_MAX_BYTES or free its disk"
        return Full(msg, retry_after=5)
    if error.code in {500, 503}:
        msg = f"JetStream cannot store {subject} now ({text}); see the nats-server log"
        if "resource" in text or "no space" in text:
            return Full(msg, retry_after=5)
        return Unavailable(msg)
    return Refused(error.err_code, f"{subject}: {text}")
