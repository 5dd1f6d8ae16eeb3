"""What is said over WebSockets: understood, done, and answered."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from msgspec import DecodeError, Struct, json
from websockets.frames import CloseCode

from gateway import problems
from gateway.access import Access, not_found
from gateway.auth import Principal
from gateway.directory import StreamDirectory
from gateway.fanout.admission import DEFAULT_BACKFILL
from gateway.fanout.connection import MAX_AT_WORK, RATE, Connection
from gateway.fanout.hub import Busy, Hub
from gateway.fanout.seat import Seat
from gateway.problems import Problem
from infra.errors import OvationError
from infra.telemetry import logs, metrics
from schemas.api import PostedComment
from schemas.problems import CODES
from schemas.records import StreamRecord
from schemas.socket import Ack, Command, JoinStream, LeaveStream, PostComment, React, Refused

log = logs.get(__name__)


class Commands(Protocol):
    """What executes commands; each raises `Problem` or `OvationError` for what is refused."""

    def read(self, message: bytes) -> Command:
        """Decode one message."""

    async def post(self, who: Principal | None, command: PostComment) -> PostedComment:
        """Post a comment; returns once it is durable."""

    async def react(self, who: Principal | None, command: React) -> None:
        """Count a reaction; returns once it is durable."""


class Office:
    """One per gateway."""

    def __init__(self, hub: Hub, directory: StreamDirectory, access: Access, commands: Commands) -> None:
        self._access = access
        self._hub = hub
        self._directory = directory
        self._commands = commands
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """End what is at work; drain first."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def heard(self, connection: Connection, message: bytes, *, in_pace: bool) -> None:
        """Do what a message says; out of pace, refuse it."""
        try:
            command = self._commands.read(message)
        except Problem as problem:
            connection.say(misread(message, problem))
            return
        metrics.COMMANDS.labels(_name(command)).inc()
        match command:
            case _ if not in_pace:
                limit = Problem("RATE_LIMITED", f"At most {RATE:.0f} messages a second.", retry_after=1)
                self._answer(connection, command, limit)
            case LeaveStream():
                connection.leave()
            case _ if connection.leaving is not None:
                self._answer(
                    connection, command, Problem("UNAVAILABLE", "This gateway is ending the connection.", retry_after=1)
                )
            case JoinStream():
                connection.leave()
                self._join(connection, command)
            case _ if connection.at_work >= MAX_AT_WORK:
                limit = Problem("RATE_LIMITED", f"At most {MAX_AT_WORK} at a time; wait for an answer.", retry_after=1)
                self._answer(connection, command, limit)
            case _:
                self._work(connection, command, partial(self._write, connection, command))

    def refused(self, connection: Connection, code: str, message: str) -> None:
        """Something came that is no message to work on."""
        connection.say(error(Problem(code, message)))

    def sent_away(self, connection: Connection, *, come_back: bool) -> None:
        """End a connection: the gateway drains, or cannot serve it."""
        code = CloseCode.GOING_AWAY if self._hub.draining else CloseCode.TRY_AGAIN_LATER
        connection.end(code, "come back", come_back=come_back)

    def taken(self, connection: Connection) -> None:
        """It has taken all that was written."""
        if (command := connection.wanted) is not None:
            connection.wanted = None
            self._join(connection, command)

    def _join(self, connection: Connection, command: JoinStream) -> None:
        if connection.paused:
            connection.wanted = command
            return
        try:
            if self._join_now(connection, command):
                return
        except Exception as failure:  # noqa: BLE001 - every failure becomes an answer
            self._answer(connection, command, failure)
            return
        if connection.at_work >= MAX_AT_WORK:
            limit = Problem("RATE_LIMITED", f"At most {MAX_AT_WORK} at a time; wait for an answer.", retry_after=1)
            self._answer(connection, command, limit)
            return
        self._work(connection, command, partial(self._join_later, connection, command, connection.joins))

    def _join_now(self, connection: Connection, command: JoinStream) -> bool:
        who = connection.principal
        if who is not None and who.stream_id not in (None, command.stream_id):
            raise Problem("UNAUTHORIZED", "This ticket is for another stream; ask for one of this stream.")
        record = self._directory.known(command.stream_id)
        if record is None:
            return False
        allowed = self._access.decided(who, record)
        if allowed is None:
            return False
        if not allowed:
            raise not_found(record.stream_id)
        seat = self._seat(connection, record)
        audience = self._hub.admit_now(seat, record)
        if audience is None:
            return False
        connection.seat = seat
        self._hub.serve(seat, audience, command.last_seen_seq, DEFAULT_BACKFILL)
        return True

    async def _join_later(self, connection: Connection, command: JoinStream, join: int) -> None:
        record = await self._directory.get(command.stream_id)
        await self._access.require_watch(connection.principal, record)
        seat = self._seat(connection, record)
        audience = await self._hub.admit(seat, record)
        if connection.joins != join or connection.lost or connection.closing:
            seat.vacate()
            return
        connection.seat = seat
        self._hub.serve(seat, audience, command.last_seen_seq, DEFAULT_BACKFILL)

    @staticmethod
    def _seat(connection: Connection, record: StreamRecord) -> Seat:
        seat = Seat(connection, record.stream_id)
        seat.person = connection.person
        seat.cohort = connection.cohort
        return seat

    async def _write(self, connection: Connection, command: Command) -> None:
        if isinstance(command, PostComment):
            comment = await self._commands.post(connection.principal, command)
            connection.say(
                Ack(
                    idempotency_key=command.idempotency_key,
                    comment_id=comment.comment_id,
                    seq=comment.seq,
                    status="held" if comment.status == "held" else "accepted",
                )
            )
        elif isinstance(command, React):
            await self._commands.react(connection.principal, command)

    def _work(self, connection: Connection, command: Command, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        connection.at_work += 1
        self._spawn(self._answered(connection, command, work))

    async def _answered(self, connection: Connection, command: Command, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as failure:  # noqa: BLE001 - every failure becomes an answer
            self._answer(connection, command, failure)
        finally:
            connection.at_work -= 1
            connection.rested()

    def _answer(self, connection: Connection, command: Command, failure: Exception) -> None:
        match failure:
            case Problem():
                problem = failure
            case Busy():
                problem = Problem("UNAVAILABLE", "No room; come back later.", retry_after=1)
            case OvationError():
                problem = problems.from_error(failure)
            case _:
                log.error("command failed", command=_name(command), exc_info=failure)
                problem = Problem("INTERNAL", "The request failed; it is in the log.")
        connection.say(refusal(command, problem))
        if isinstance(failure, Busy):
            self.sent_away(connection, come_back=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("background work failed", exc_info=failure)


def refusal(command: Command, problem: Problem) -> Struct:
    """What a command is answered that was refused: an ack for a comment, an error for everything else."""
    if not isinstance(command, PostComment):
        return error(problem, _name(command))
    return _refused(command.idempotency_key, problem)


def misread(message: bytes, problem: Problem) -> Struct:
    """What a message is answered that is no command: an ack, too, where it is a comment whose key can be read.

    Whoever posts waits for the ack of its key, and would wait for ever.
    """
    try:
        told = json.decode(message)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return error(problem)
    match told:
        case {"type": "post_comment", "idempotency_key": str(key)}:
            return _refused(key, problem)
    return error(problem)


def _refused(key: str, problem: Problem) -> Ack:
    return Ack(
        idempotency_key=key,
        comment_id=None,
        seq=None,
        status="rate_limited" if problem.code == "RATE_LIMITED" else "rejected",
        code=problem.code,
        field=problem.field,
        retry_after=problem.retry_after,
        message=problem.detail,
    )


def error(problem: Problem, command: str | None = None) -> Refused:
    """A problem as a message."""
    metrics.PROBLEMS.labels(problem.code).inc()
    return Refused(
        code=problem.code,
        message=problem.detail,
        retryable=CODES[problem.code][2],
        command=command,
        field=problem.field,
        retry_after=problem.retry_after,
    )


def _name(command: Command) -> str:
    return str(command.__struct_config__.tag)
