"""Posts and flushes that take turns: over real sockets, with flushes that all count as long."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.exchange import Answered, Asked
from gateway.fanout.window import Window
from gateway.fanout.windower import Windower
from tests.backends.nats import NatsServer
from tests.edges import edge
from tests.factories import comment
from tests.hubs import gateway
from tests.waits import eventually


class Posting:
    """Answers at once, and counts."""

    def __init__(self) -> None:
        self.begun = 0

    async def answer(self, asked: Asked) -> Answered:
        """As the direct way does."""
        self.begun += 1
        return Answered(201, b"", asked.body or b"")


async def test_a_post_waits_for_a_long_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered when that is done; whatever else is asked meanwhile is answered meanwhile."""
    monkeypatch.setattr("gateway.recess.MOST_S", 600.0)
    async with edge() as edged:
        edged.posting = posting = Posting()
        line, other = await edged.open(), await edged.open()
        edged.recess.end(lambda: None)
        line.say(b"POST /api/v1/streams/%b/comments HTTP/1.1\r\nHost: x\r\n" % str(uuid.uuid4()).encode())
        line.say(b"Content-Length: 2\r\n\r\n{}")
        for _ in range(3):
            other.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await other.told()
        assert posting.begun == 0
        edged.recess.begin()
        assert (await line.answer())[::2] == (201, b"{}")


@pytest.mark.nats
async def test_every_comment_arrives_and_posts_go_on(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is under way when a flush is due, and should one fail, the next flush and the next post have their turn."""
    monkeypatch.setattr("gateway.fanout.rhythm.LONG_S", -1.0)
    monkeypatch.setattr("gateway.recess.MOST_S", 600.0)
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
        await viewer.until(lambda v: v.seqs[-1:] == seqs[-1:])
        assert not broken[0]
        assert (viewer.seqs, viewer.faults) == (seqs, [])
        waiting = len(begun)
        g.hub.recess.enter(post)
        await eventually(lambda: len(begun) > waiting)
