"""Direct get: single messages, ranges and tails of a log, read without creating a consumer (measured: 40k messages/s).

Three traps, each with a test. What has expired is skipped without a word, so callers compare with what they asked for.
A lagging replica may answer, so a range is read until the log's leader has nothing more of it, and not up to the end of a
batch. And in a batch `Nats-Last-Sequence` means "previous in this batch", so it is never used here.
"""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from infra.errors import Unavailable
from infra.jetstream.connection import REQUEST_S, Connection
from infra.jetstream.wire import header_lines

BATCH = 500
#: multi_last refuses more than 1,024 subjects' messages in one answer.
TAILS = 512
LAG_RETRIES = 20
LAG_WAIT_S = 0.05
#: Of an answer's headers, `NATS/1.0 404 Message Not Found`; those of a message have their next line there.
_STATUS = slice(9, 12)


class LogMessage(Struct, frozen=True):
    """One stored message; `at_ms` is when the log took it."""

    subject: str
    seq: int
    at_ms: int
    payload: bytes
    headers: dict[str, str]

    @property
    def msg_id(self) -> str | None:
        """The `Nats-Msg-Id` it was stored under."""
        return self.headers.get("Nats-Msg-Id")


class LogState(Struct, frozen=True):
    """A log's ends: `incarnation` is the first seq it was created with, `first` the oldest it still has.

    `messages` and `bytes` are what it holds, `max_age_s` and `max_bytes` what it keeps at most (0: no bound).
    """

    incarnation: int
    first: int
    last: int
    messages: int = 0
    bytes: int = 0
    max_age_s: float = 0.0
    max_bytes: int = 0


@lru_cache(maxsize=64)
def _second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def log_time(text: str) -> int:
    """Milliseconds of a `Nats-Time-Stamp`: RFC 3339 with up to nine digits, zeros cut."""
    fraction = text[20:-1] if len(text) > 20 else ""
    return _second(text[:19]) * 1000 + int(fraction[:3].ljust(3, "0") or 0)


def message_of(headers: dict[str, str], payload: bytes) -> LogMessage:
    """Build a message from the headers that direct get and republish both carry."""
    return LogMessage(
        headers["Nats-Subject"],
        int(headers["Nats-Sequence"]),
        log_time(headers["Nats-Time-Stamp"]),
        payload,
        headers,
    )


class Answer(Struct, frozen=True):
    """The messages of an answer, the log's seq it was given at, and how many more there were then; 0 where it does not say."""

    messages: list[LogMessage]
    up_to: int = 0
    pending: int = 0


class Reader:
    """Reads logs. One wildcard inbox serves all batches of the process; a single message comes to the connection's own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._prefix = ""
        self._waiting: dict[str, asyncio.Queue[Msg]] = {}
        self._tokens = itertools.count()
        self._opening = asyncio.Lock()

    async def range(self, log: str, subject: str, after: int, until: int, limit: int = 1_000_000) -> list[LogMessage]:
        """Messages with `after < seq <= until`, ascending, at most *limit*.

        *until* is a seq known to have existed, of any subject of the log: only what this subject has up to it is waited for.

        Raises:
            Unavailable: the log did not answer, or its replicas stay behind what its leader has up to *until*.
        """
        found: list[LogMessage] = []
        retries = 0
        while after < until and len(found) < limit:
            batch = await self._get(log, {"seq": after + 1, "next_by_subj": subject, "batch": min(BATCH, limit - len(found))})
            fresh = [message for message in batch if after < message.seq <= until]
            found += fresh
            if batch and batch[-1].seq >= until:
                break
            if fresh:
                after = fresh[-1].seq
                continue
            missed = await self._leaders_next(log, subject, after)
            if missed is None or missed > until:
                break
            retries += 1
            if retries > LAG_RETRIES:
                msg = f"the replicas of {log} stay behind seq {missed}"
                raise Unavailable(msg)
            await asyncio.sleep(LAG_WAIT_S)
        return found[:limit]

    async def follow_from(self, log: str, subject: str, after: int, most: int = 1_000_000) -> list[LogMessage]:
        """Everything after *after* that the log shows at the moment; where that is more than *most*, the oldest of it.

        Raises:
            Unavailable: the log did not answer.
        """
        found: list[LogMessage] = []
        while len(found) < most:
            answer = await self._answer(
                log, {"seq": after + 1, "next_by_subj": subject, "batch": min(BATCH, most - len(found))}
            )
            found += answer.messages
            if not answer.messages or not answer.pending:
                break
            after = answer.messages[-1].seq
        return found

    async def first_after(self, log: str, subject: str, after: int) -> LogMessage | None:
        """The oldest message of *subject* with a seq above *after*."""
        return await self._one(log, {"seq": after + 1, "next_by_subj": subject})

    async def ahead(self, log: str, subject: str, after: int) -> int:
        """How many messages of *subject* have a seq above *after*, as the replica that answers sees it.

        Raises:
            Unavailable: the log did not answer.
        """
        answer = await self._answer(log, {"seq": after + 1, "next_by_subj": subject, "batch": 1})
        return len(answer.messages) + answer.pending

    async def last(self, log: str, subject: str) -> LogMessage | None:
        """The newest message of *subject*."""
        return await self._one(log, {"last_by_subj": subject})

    async def newest(self, log: str, subject: str) -> int:
        """The seq of the newest message of *subject* as the log's leader knows it, which never lags; 0 when there is none.

        Raises:
            Unavailable: the broker is away.
        """
        try:
            answer = await self._api(f"STREAM.MSG.GET.{log}", {"last_by_subj": subject})
        except LookupError:
            return 0
        return int(answer["message"]["seq"])

    async def at(self, log: str, seq: int) -> LogMessage | None:
        """The message at *seq*, or `None` when there is none (any more)."""
        return await self._one(log, {"seq": seq})

    async def tails(self, log: str, subjects: Sequence[str]) -> dict[str, LogMessage]:
        """The newest message of each subject that has one. Wildcards are allowed."""
        found: dict[str, LogMessage] = {}
        for start in range(0, len(subjects), TAILS):
            part = list(subjects[start : start + TAILS])
            for message in await self._get(log, {"multi_last": part}):
                found[message.subject] = message
        return found

    async def tails_after(self, log: str, subjects: Sequence[str], after: int) -> tuple[dict[str, int], int]:
        """The newest seq of each subject that has one above *after*, and the log's seq up to which that is the whole truth.

        With the last answer's seq as *after* ten thousand quiet subjects cost next to nothing.

        Raises:
            Unavailable: the log did not answer.
        """
        newest = await self.last(log, ">")
        if newest is None or newest.seq <= after:
            return {}, after
        found: dict[str, int] = {}
        known: list[int] = []
        for start in range(0, len(subjects), TAILS - 1):
            # An empty answer does not say how far the replica that gave it had come: the newest subject makes sure of one.
            part = [*subjects[start : start + TAILS - 1], newest.subject]
            answer = await self._answer(log, {"multi_last": part, "seq": after + 1})
            found.update((message.subject, message.seq) for message in answer.messages)
            known.append(answer.up_to)
        return found, max(after, min(known, default=after))

    async def state(self, log: str) -> LogState:
        """The log's ends, from its leader."""
        answer = await self._api(f"STREAM.INFO.{log}", {})
        state, config = answer["state"], answer["config"]
        return LogState(
            config.get("first_seq", 1),
            state["first_seq"],
            state["last_seq"],
            state["messages"],
            state["bytes"],
            config["max_age"] / 1e9,
            max(0, config["max_bytes"]),
        )

    async def _leaders_next(self, log: str, subject: str, after: int) -> int | None:
        """The seq of the first message of *subject*, wildcards included, above *after*: the leader knows, which never lags.

        Whether *until* itself is there proves nothing: another stream's message, or an erased one, may stand behind what lags.
        """
        try:
            answer = await self._api(f"STREAM.MSG.GET.{log}", {"seq": after + 1, "next_by_subj": subject})
        except LookupError:
            return None
        return int(answer["message"]["seq"])

    async def _api(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = await self._connection.request(f"$JS.API.{call}", msgspec.json.encode(body))
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        if error := answer.get("error"):
            text = f"{call}: {error.get('description', error)}"
            if error.get("code") == 404:
                raise LookupError(text)
            raise Unavailable(text)
        return answer

    async def _open(self) -> None:
        async with self._opening:
            if not self._prefix:
                prefix = self._connection.nc.new_inbox()
                await self._connection.subscribe(f"{prefix}.*", self._answered)
                self._prefix = prefix

    async def _answered(self, msg: Msg) -> None:
        if queue := self._waiting.get(msg.subject.rpartition(".")[2]):
            queue.put_nowait(msg)

    async def _one(self, log: str, body: dict[str, Any]) -> LogMessage | None:
        """The message that *body* asks for, at less than half of what `_answer` costs: a late post has two tokens read."""
        self._check_up(log)
        loop, inbox = asyncio.get_running_loop(), self._connection.inbox
        came: asyncio.Future[tuple[bytes, bytes]] = loop.create_future()

        def collect(header: bytes | None, payload: bytes) -> None:
            if not came.done():
                came.set_result((header or b"", payload))

        def give_up() -> None:
            if not came.done():
                came.set_exception(_silent(log))

        token = inbox.listen(f"$JS.API.DIRECT.GET.{log}", msgspec.json.encode(body), collect)
        timer = loop.call_later(REQUEST_S, give_up)
        try:
            header, payload = await came
        finally:
            timer.cancel()
            inbox.forget(token)
        if (status := header[_STATUS]).isdigit():
            _check_status(log, status.decode())
            return None
        return message_of(header_lines(header), payload)

    async def _get(self, log: str, body: dict[str, Any]) -> list[LogMessage]:
        return (await self._answer(log, body)).messages

    async def _answer(self, log: str, body: dict[str, Any]) -> Answer:
        self._check_up(log)
        await self._open()
        token = str(next(self._tokens))
        queue = self._waiting[token] = asyncio.Queue()
        try:
            await self._connection.nc.publish(
                f"$JS.API.DIRECT.GET.{log}", msgspec.json.encode(body), reply=f"{self._prefix}.{token}"
            )
            async with asyncio.timeout(REQUEST_S) as deadline:
                return await self._collect(log, queue, deadline)
        except TimeoutError as error:
            raise _silent(log) from error
        finally:
            del self._waiting[token]

    async def _collect(self, log: str, queue: asyncio.Queue[Msg], deadline: asyncio.Timeout) -> Answer:
        loop = asyncio.get_running_loop()
        found: list[LogMessage] = []
        while True:
            reply = await queue.get()
            deadline.reschedule(loop.time() + REQUEST_S)
            headers = reply.headers or {}
            if status := headers.get("Status"):
                _check_status(log, status)
                return Answer(found, int(headers.get("Nats-UpTo-Sequence", 0)), int(headers.get("Nats-Num-Pending", 0)))
            found.append(message_of(headers, reply.data))

    def _check_up(self, log: str) -> None:
        if not self._connection.up.is_set():
            msg = f"NATS is away, {log} cannot be read"
            raise Unavailable(msg)


def _silent(log: str) -> Unavailable:
    return Unavailable(f"{log} did not answer a read within {REQUEST_S:g} s")


def _check_status(log: str, status: str) -> None:
    """Take *status* for the end of an answer.

    Raises:
        Unavailable: it is a refusal.
    """
    if status == "503":
        msg = f"no server answers for {log}: JetStream is starting, or the topology is not applied"
        raise Unavailable(msg)
    if status not in {"204", "404"}:
        msg = f"{log} refused a read: {status}"
        raise Unavailable(msg)
