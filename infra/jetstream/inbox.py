"""Questions on core NATS and their answers: one subscription, one timer and no task for all that a process asks.

nats-py's own `request` costs a task's worth of waiting, a timer and a random token each. Here a question is a few bytes in
the next write, and an answer sets a future from the parser (`wire.py`). What is asked in one turn of the loop leaves together,
and under load what is asked within a millisecond: many small writes, and the reads of their answers, would otherwise take
what time a gateway and the server have left.
"""

import asyncio
import itertools
import secrets
from collections.abc import Callable

from nats.aio.client import Client

from infra.errors import Unavailable

#: A question whose connection was lost is never answered: short enough for several attempts before a post gives up.
ATTEMPT_S = 2.0
#: How often questions that are too old are looked for; they are in the order of their deadlines.
TICK_S = 0.25
#: Between two writes. A question that comes after a pause is sent at once, and so is one while few others wait for answers: the
#: last posts that a flush waits for ask one thing after the other (docs/adr/0007).
GATHER_S = 0.001
FEW = 24
#: Questions that wait for their answers. A second's worth of comments, with three publishes each; past it, posts are refused.
MAX_WAITING = 16_384
_NO_RESPONDERS = b" 503"
_STATUS = slice(8, 12)
#: "NATS/1.0" and the empty line.
_HEADER_FRAME = 12

_Question = tuple["asyncio.Future[bytes]", float, str]
#: Takes headers (with their status line) and payload of each of a batch's messages.
Collect = Callable[[bytes | None, bytes], None]


class Inbox:
    """Of one connection. `ask` is for one answer's payload, `listen` for many answers, or for one with its headers."""

    def __init__(self) -> None:
        self.prefix = b"_INBOX.%b." % secrets.token_hex(11).encode()
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop
        self._tokens = itertools.count()
        self._asked: dict[bytes, _Question] = {}
        self._listening: dict[bytes, Collect] = {}
        self._out: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._written = 0.0

    async def open(self, client: Client) -> None:
        """Subscribe; nats-py does so again after every reconnect."""
        self._client = client
        self._loop = asyncio.get_running_loop()
        await client.subscribe(f"{self.prefix.decode()}*", cb=_nobody)

    def ask(self, subject: str, payload: bytes, header: bytes = b"") -> "asyncio.Future[bytes]":
        """Send *payload*, with *header* (lines, each ended) if any, and return what will be the answer's payload.

        The future ends with Unavailable when nobody listens, no answer comes in `ATTEMPT_S`, or the connection is lost.

        Raises:
            Unavailable: the broker is away, or too many questions wait.
        """
        if len(self._asked) >= MAX_WAITING:
            msg = f"{MAX_WAITING} answers of NATS are waited for already"
            raise Unavailable(msg)
        token = self._send(subject, payload, header)
        loop = self._loop
        answer = loop.create_future()
        self._asked[token] = answer, loop.time() + ATTEMPT_S, subject
        if self._timer is None:
            self._timer = loop.call_later(TICK_S, self._tick)
        return answer

    def listen(self, subject: str, payload: bytes, collect: Collect) -> bytes:
        """Send *payload*; *collect*, which must not raise, is called with each message of the answer until `forget`.

        Raises:
            Unavailable: the broker is away.
        """
        token = self._send(subject, payload, b"")
        self._listening[token] = collect
        return token

    def forget(self, token: bytes) -> None:
        """Take no more of what `listen` asked for."""
        self._listening.pop(token, None)

    def take(self, token: bytes, header: bytes | None, payload: bytes) -> None:
        """An answer has come; one that nobody waits for any more is dropped."""
        question = self._asked.pop(token, None)
        if question is None:
            if collect := self._listening.get(token):
                collect(header, payload)
            return
        answer, _, subject = question
        if answer.done():
            return
        if header is not None and header[_STATUS] == _NO_RESPONDERS:
            msg = f"nobody answers on {subject}: JetStream is starting, or the topology is not applied"
            answer.set_exception(Unavailable(msg))
        else:
            answer.set_result(payload)

    def lose(self) -> None:
        """The connection is gone, and with it every answer that was on its way."""
        asked, self._asked = self._asked, {}
        self._out.clear()
        for answer, _, subject in asked.values():
            if not answer.done():
                answer.set_exception(Unavailable(f"the connection to NATS was lost while {subject} was waited for"))

    def _send(self, subject: str, payload: bytes, header: bytes) -> bytes:
        if self._client is None or not self._client.is_connected:
            msg = "NATS is away"
            raise Unavailable(msg)
        token = b"%d" % next(self._tokens)
        to = subject.encode()
        if header:
            size = len(header) + _HEADER_FRAME
            sizes = size, size + len(payload)
            line = b"HPUB %b %b%b %d %d\r\nNATS/1.0\r\n%b\r\n" % (to, self.prefix, token, *sizes, header)
        else:
            line = b"PUB %b %b%b %d\r\n" % (to, self.prefix, token, len(payload))
        if not self._out:
            loop = self._loop
            since = loop.time() - self._written
            if since >= GATHER_S or len(self._asked) < FEW:
                loop.call_soon(self._flush)
            else:
                loop.call_later(GATHER_S - since, self._flush)
        self._out += (line, payload, b"\r\n")
        return token

    def _flush(self) -> None:
        client = self._client
        if client is None or not client.is_connected or not self._out:
            self._out.clear()
            return
        sending = b"".join(self._out)
        self._out.clear()
        self._written = self._loop.time()
        # Past nats-py's buffer and the task that empties it: what waits to be written is bounded by what may wait for answers.
        client._transport.write(sending)  # type: ignore[union-attr]  # noqa: SLF001 - it is connected

    def _tick(self) -> None:
        now, late = self._loop.time(), []
        for token, question in self._asked.items():
            if question[1] > now:
                break
            late.append(token)
        for token in late:
            answer, _, subject = self._asked.pop(token)
            if not answer.done():
                answer.set_exception(Unavailable(f"NATS did not answer on {subject} within {ATTEMPT_S:g} s"))
        self._timer = self._loop.call_later(TICK_S, self._tick) if self._asked else None


async def _nobody(_msg: object) -> None:
    """The parser takes what comes here before nats-py sees it."""
