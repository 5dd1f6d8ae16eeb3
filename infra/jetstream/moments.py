"""When a log took its messages: what a PubAck leaves out, read for many comments at once.

While one read of a subject is under way, the next ones gather; then they go together, one batch direct get for each run of
neighbouring sequences. One comment a second is one read of one message; thousands are a few dozen reads.
"""

import asyncio
from collections.abc import Callable, Iterator

import msgspec

from infra.errors import Unavailable
from infra.jetstream.connection import Connection
from infra.jetstream.inbox import Inbox
from infra.jetstream.reader import log_time

#: A message is durable before this is asked: whoever wrote it does not wait long for its time.
WAIT_S = 1.0
#: Messages one read asks for.
BATCH = 256
#: Questions that wait for a read; past it the answer is "not known". As many as publishes may wait for their PubAck.
MAX_WAITING = 16_384
_SEQ, _TIME = b"\r\nNats-Sequence: ", b"\r\nNats-Time-Stamp: "

_Answer = asyncio.Future[int | None]
_Wanted = dict[int, list[_Answer]]


class Moments:
    """Of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._inbox = connection.inbox
        self._wanted: dict[tuple[str, str], _Wanted] = {}
        self._reading: set[tuple[str, str]] = set()
        self._waiting = 0

    def at_ms(self, log: str, subject: str, seq: int) -> _Answer:
        """When *log* took the message *seq* of *subject*, in ms since the epoch.

        `None` when that is not known within `WAIT_S`: the broker is away, or the message is gone, or a replica lags.
        """
        key, loop = (log, subject), asyncio.get_running_loop()
        answer: _Answer = loop.create_future()
        if self._waiting >= MAX_WAITING:
            answer.set_result(None)
            return answer
        self._wanted.setdefault(key, {}).setdefault(seq, []).append(answer)
        if key not in self._reading:
            self._reading.add(key)
            # Not yet: what else is acknowledged in this turn of the loop comes along.
            loop.call_soon(self._read, key)
        self._waiting += 1
        return answer

    def _read(self, key: tuple[str, str]) -> None:
        wanted = self._wanted.pop(key, None)
        if wanted is None:
            self._reading.discard(key)
            return
        chosen = sorted(wanted)[:BATCH]
        if len(chosen) < len(wanted):
            self._wanted[key] = {seq: wanted.pop(seq) for seq in wanted.keys() - set(chosen)}
        self._waiting -= sum(map(len, wanted.values()))
        _Read(self._inbox, key, {seq: wanted[seq] for seq in chosen}, lambda: self._read(key))


class _Read:
    """One read under way."""

    def __init__(self, inbox: Inbox, key: tuple[str, str], wanted: _Wanted, done: Callable[[], None]) -> None:
        """*wanted* is in the order of its sequences; *done* is called once, when all answers are set."""
        self._inbox = inbox
        self._wanted = wanted
        self._done = done
        self._tokens: set[bytes] = set()
        self._timer = asyncio.get_running_loop().call_later(WAIT_S, self._end)
        log, subject = key
        try:
            for first, count in _runs(wanted):
                body = {"seq": first} if count == 1 else {"seq": first, "next_by_subj": subject, "batch": count}
                self._ask(f"$JS.API.DIRECT.GET.{log}", msgspec.json.encode(body), single=count == 1)
        except Unavailable:
            # Later, since a *done* from here would begin the next read within this one.
            asyncio.get_running_loop().call_soon(self._end)

    def _ask(self, subject: str, body: bytes, *, single: bool) -> None:
        def collect(header: bytes | None, _payload: bytes) -> None:
            message = header is not None and self._found(header)
            if single or not message:
                # A single message is all; in a batch the end is a status.
                self._inbox.forget(token)
                self._tokens.discard(token)
                if not self._tokens:
                    self._end()

        token = self._inbox.listen(subject, body, collect)
        self._tokens.add(token)

    def _found(self, header: bytes) -> bool:
        """Whether *header* is that of a message; then whoever waits for it is answered."""
        seq, time = _value(header, _SEQ), _value(header, _TIME)
        if seq is None or time is None:
            return False
        for answer in self._wanted.pop(int(seq), ()):
            if not answer.done():
                answer.set_result(log_time(time.decode()))
        return True

    def _end(self) -> None:
        self._timer.cancel()
        for token in self._tokens:
            self._inbox.forget(token)
        for answers in self._wanted.values():
            for answer in answers:
                if not answer.done():
                    answer.set_result(None)
        done, self._done = self._done, _nothing
        done()


def _runs(sequences: _Wanted) -> Iterator[tuple[int, int]]:
    """(first, count) of each run of neighbours among ascending numbers."""
    first = count = 0
    for seq in sequences:
        if count and seq == first + count:
            count += 1
            continue
        if count:
            yield first, count
        first, count = seq, 1
    if count:
        yield first, count


def _value(header: bytes, name: bytes) -> bytes | None:
    start = header.find(name)
    if start < 0:
        return None
    start += len(name)
    return header[start : header.find(b"\r\n", start)]


def _nothing() -> None:
    """A read ends once."""
