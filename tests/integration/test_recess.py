"""Posts and flushes that take turns: over real sockets, with flushes that all count as long."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.exchange import Answered, Asked
from gateway.fanout.protocol import MOST_UNREAD
from gateway.fanout.window import Window
from gateway.fanout.windower import Windower
from gateway.recess import Recess
from tests.backends.nats import NatsServer
from tests.edges import Edged, edge
from tests.factories import comment
from tests.hubs import gateway
from tests.waits import eventually

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Posting:
    """Answers at once, and keeps when what it answered had come."""

    def __init__(self) -> None:
        self.came: list[float] = []

    @property
    def begun(self) -> int:
        """How many."""
        return len(self.came)

    async def answer(self, asked: Asked) -> Answered:
        """As the direct way does."""
        self.came.append(asked.came)
        return Answered(201, b"", asked.body or b"")


class Counted(Recess):
    """Counts what waits unread."""

    held = 0

    def hold(self, read: Callable[[], None]) -> None:
        """One more."""
        self.held += 1
        super().hold(read)


def _post(body: bytes = b"{}") -> bytes:
    head = b"POST /api/v1/streams/%b/comments HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    return head % (str(uuid.uuid4()).encode(), len(body)) + body


async def _heard(edged: Edged) -> None:
    """Whatever was said before this has been taken notice of."""
    other = await edged.open()
    for _ in range(3):
        other.say(GET)
        await other.told()


@pytest.fixture(name="patient", autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.recess.MOST_S", 600.0)


@pytest.mark.parametrize("before", [b"", b"P"], ids=["all of it", "all but what came before"])
@pytest.mark.parametrize("first", [10**6, 40, -2], ids=["whole", "in pieces", "head and body"])
@pytest.mark.parametrize("kept", [False, True], ids=["first", "kept"])
async def test_a_post_waits_for_a_long_flush(before: bytes, first: int, kept: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """It is answered when that is done, in however many pieces it came; what else is asked is answered meanwhile.

    When posts begin all of it is there: it does not wait a second time.
    """
    async with edge() as edged:
        edged.posting, edged.recess = posting, recess = Posting(), Counted()
        line, post = await edged.open(), _post().removeprefix(before)
        if kept:
            line.say(GET)
            await line.told()
        line.say(before)
        await _heard(edged)
        recess.end(lambda: None)
        line.say(post[:first])
        await _heard(edged)
        line.say(post[:first] and post[first:])
        await _heard(edged)
        assert (posting.begun, recess.held) == (0, 1 if before == b"" and first > len(post) else 0)
        began = time.perf_counter()
        recess.begin()
        # The next one is due before anything more is read.
        recess.end(lambda: None)
        assert (await line.answer())[::2] == (201, b"{}")
        assert posting.came[0] < began
        recess.begin()


async def test_what_waits_unread_is_bounded() -> None:
    """A large post is read as it comes; it waits all the same."""
    async with edge() as edged:
        edged.posting, edged.recess = posting, recess = Posting(), Counted()
        line, body = await edged.open(), b"x" * (MOST_UNREAD + 1)
        recess.end(lambda: None)
        line.say(_post(body))
        await _heard(edged)
        assert (posting.begun, recess.held) == (0, 0)
        recess.begin()
        assert (await line.answer())[0] == 201


@pytest.mark.parametrize("kept", [False, True], ids=["first", "kept"])
async def test_who_stops_sending_after_a_post_is_answered(kept: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Also while it waits unread; the answer is the connection's last."""
    async with edge() as edged:
        edged.posting, edged.recess = Posting(), Counted()
        line = await edged.open()
        if kept:
            line.say(GET)
            await line.told()
        edged.recess.end(lambda: None)
        line.say(_post(b"last")).writer.write_eof()
        await _heard(edged)
        assert edged.recess.held == 1
        edged.recess.begin()
        status, headers, body = await line.answer()
        assert (status, headers["connection"], body) == (201, "close", b"last")
        assert await line.rest() == b""


async def test_posts_that_wait_unread_are_answered_in_order() -> None:
    """Of one connection, where they were sent without waiting for answers, and whatever others have done meanwhile."""
    async with edge() as edged:
        edged.posting = Posting()
        line, gone = await edged.open(), await edged.open()
        edged.recess.end(lambda: None)
        gone.say(_post())
        line.say(_post(b"1"), _post(b"2"))
        await _heard(edged)
        await gone.close()
        line.say(GET)
        await _heard(edged)
        edged.recess.begin()
        assert [(await line.answer())[2] for _ in range(2)] == [b"1", b"2"]
        await line.told()


async def test_a_post_behind_another_request_does_not_fall_behind_the_next() -> None:
    """An answer lets a connection be read again: what waited unread then would be overtaken."""
    async with edge() as edged:
        edged.posting = Posting()
        line = await edged.open()
        line.say(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await eventually(lambda: edged.waiting == 1)
        edged.recess.end(lambda: None)
        line.say(_post(b"second"))
        await _heard(edged)
        edged.go.set()
        await line.told()
        line.say(b"GET /third HTTP/1.1\r\nHost: x\r\n\r\n")
        await _heard(edged)
        edged.recess.begin()
        assert (await line.answer())[::2] == (201, b"second")
        await line.told()


async def test_a_post_that_waits_unread_is_answered_by_a_server_that_ends() -> None:
    """Whoever has sent it before the end was told of it has an answer, and the connection ends with that."""
    async with edge() as edged:
        edged.posting = Posting()
        line = await edged.open()
        edged.recess.end(lambda: None)
        line.say(_post())
        await _heard(edged)
        edged.lifecycle.stop()
        await eventually(lambda: bool(edged.drains))
        edged.recess.begin()
        status, headers, _ = await line.answer()
        assert (status, headers["connection"]) == (201, "close")
        assert await line.rest() == b""


@pytest.mark.nats
async def test_every_comment_arrives_and_posts_go_on(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is under way when a flush is due, and should one fail, the next flush and the next post have their turn."""
    monkeypatch.setattr("gateway.fanout.rhythm.LONG_S", -1.0)
    flushed, broken = Windower.flush, [False]

    def flush(windower: Windower, *rest: Any, **named: Any) -> Window:  # noqa: ANN401 - as it is called
        if broken[0]:
            broken[0] = False
            msg = "broken once"
            raise RuntimeError(msg)
        return flushed(windower, *rest, **named)

    monkeypatch.setattr(Windower, "flush", flush)
    async with gateway(nats_server.url, tmp_path) as g:
        viewer = await g.viewer(backfill=0).open()
        seqs, begun = [], []

        def post(done: Callable[[], None]) -> None:
            begun.append(done)

        for n in range(60):
            g.hub.recess.enter(post)
            if n == 30:
                broken[0] = True
            seqs.append(await g.say(comment(n + 1)))
            if n % 3 == 0 and begun:
                begun.pop()()
        await eventually(lambda: not broken[0])
        # What a flush that failed leaves is tried again with what comes, or with a heartbeat, some seconds later.
        seqs.append(await g.say(comment(61)))
        await viewer.until(lambda v: v.seqs[-1:] == seqs[-1:])
        assert (viewer.seqs, viewer.faults) == (seqs, [])
        waiting = len(begun)
        g.hub.recess.enter(post)
        await eventually(lambda: len(begun) > waiting)
