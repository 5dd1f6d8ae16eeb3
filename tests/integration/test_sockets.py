"""WebSocket viewers on one hub in this process: their own frames among the shared ones, pings, and time moved by hand."""

import asyncio
import contextlib
import os
import random
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from gateway.auth import Principal
from gateway.fanout import sender, ws
from gateway.fanout.audience import Audience
from gateway.fanout.seat import Seat
from gateway.fanout.sockets import PING_S
from infra.clock import HandClock
from schemas.records import StreamRecord
from tests.backends.nats import NatsServer
from tests.sockets import Here, here
from tests.socketviewer import SocketViewer
from tests.waits import eventually

pytestmark = pytest.mark.nats

#: A pong nobody asked for: a client ignores it.
PONG = Frame(Opcode.PONG, b"").serialize(mask=False)
#: A message of a viewer's own that no kernel swallows once its buffers are full.
BURDEN = ws.text(b'{"type":"burden","of":"%b"}' % (b"x" * 200_000))


def _audience(g: Here) -> Audience:
    found = g.hub.hub.audience(g.stream_id)
    assert found is not None
    return found


async def _fill(viewer: SocketViewer, seat: Seat) -> None:
    """Let a viewer stop reading, and fill the kernel's buffers on both sides with frames that mean nothing."""
    viewer.pause()

    def full() -> bool:
        took = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                took += os.write(seat.fd, PONG * 4096)
        assert took % len(PONG) == 0
        return took == 0

    await eventually(full)


@pytest.mark.parametrize("seed", range(3))
async def test_own_frames_stand_between_shared_ones(
    nats_server: NatsServer, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Viewers that read in fits, ping and send nonsense all the while: no frame is torn, each is made whole.

    A flush is sliced after every viewer, so that what is a viewer's own is written in the middle of flushes.
    """
    monkeypatch.setattr(sender, "STEP", 1)
    monkeypatch.setattr(sender, "SLICE_S", -1.0)
    chance = random.Random(seed)
    async with here(nats_server.url, tmp_path) as g:
        viewers = [(await g.viewer())[0] for _ in range(8)]
        answers = dict.fromkeys(viewers, 0)
        saying = asyncio.create_task(_say_on(g, 3000))

        async def fitful(viewer: SocketViewer) -> None:
            assert viewer.ws is not None
            for turn in range(40):
                target = len(viewer.items) + chance.randrange(1, 60)
                if chance.random() < 0.4:
                    viewer.pause()
                    others = sum(len(v.items) for v in viewers) + 200
                    await eventually(lambda: sum(len(v.items) for v in viewers) > others or saying.done(), timeout=60)  # noqa: B023 - awaited here
                if chance.random() < 0.5:
                    await viewer.send_raw("nonsense")
                    answers[viewer] += 1
                if turn % 4 == 0:
                    await viewer.ws.ping()
                viewer.resume()
                await eventually(lambda: len(viewer.items) > target or saying.done(), timeout=60)  # noqa: B023 - awaited here

        # One that never rests, so that the fits have something to wait for.
        await asyncio.gather(*(fitful(viewer) for viewer in viewers[1:]))
        seqs = await saying
        for viewer in viewers:
            viewer.resume()
            await viewer.until(lambda v: len(v.items) >= len(seqs))

        for viewer in viewers:
            await viewer.until(lambda v: len(v.of("error")) == answers[v])
            assert viewer.faults == []
            assert seqs == viewer.seqs


async def _say_on(g: Here, count: int) -> list[int]:
    seqs: list[int] = []
    for first in range(1, count, 50):
        seqs += await g.say(50, first)
    return seqs


async def test_an_own_frame_that_waits_takes_its_viewer_off_the_roll(nats_server: NatsServer, tmp_path: Path) -> None:
    """Its kernel buffer is full and a message of its own has to wait: no shared frame passes it, and nothing is missed."""
    async with here(nats_server.url, tmp_path) as g:
        brisk, _ = await g.viewer()
        slow, seat = await g.viewer()
        await _fill(slow, seat)
        seat.connection.write(BURDEN)

        assert seat.paused
        assert seat.roll is None
        assert seat.position == _audience(g).position

        seqs = await g.say(300)
        await brisk.until(lambda v: len(v.items) == 300)
        slow.resume()
        await slow.until(lambda v: len(v.items) == 300)

        assert [] == slow.faults == brisk.faults
        assert sorted(seqs) == slow.seqs == brisk.seqs


async def test_who_stands_back_inside_a_flush_misses_nothing_of_it(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flush has not reached the viewer when its own frame has to wait: it goes on from before that window."""
    monkeypatch.setattr(sender, "STEP", 1)
    monkeypatch.setattr(sender, "SLICE_S", -1.0)
    async with here(nats_server.url, tmp_path) as g:
        for _ in range(20):
            await g.viewer()
        slow, seat = await g.viewer()
        await _fill(slow, seat)
        audience = _audience(g)
        before = audience.position
        saying = asyncio.create_task(g.say(1))
        while audience.position == before:  # noqa: ASYNC110 - the very turn of the loop matters
            await asyncio.sleep(0)
        live = seat.roll
        seat.connection.write(BURDEN)

        assert (live is not None, seat.roll, seat.position) == (True, None, before)

        [seq] = await saying
        slow.resume()
        await slow.until(lambda v: v.seqs == [seq])
        assert slow.faults == []


async def test_who_does_not_read_what_it_asks_for_is_ended(nats_server: NatsServer, tmp_path: Path) -> None:
    """Answers of its own wait for a viewer only up to a bound."""
    async with here(nats_server.url, tmp_path) as g:
        slow, seat = await g.viewer()
        await _fill(slow, seat)
        for _ in range(3):
            seat.connection.write(ws.text(b"x" * 100_000))
        slow.resume()
        await slow.ended()

        assert seat.closed
        assert g.hub.hub.viewers == 0


async def test_a_join_waits_until_the_stream_before_was_taken(nats_server: NatsServer, tmp_path: Path) -> None:
    """A peer that reads nothing cannot have first deliveries pile up; the last join is the one that counts."""
    async with here(nats_server.url, tmp_path) as g:
        await g.say(60)
        slow, seat = await g.viewer()
        await _fill(slow, seat)
        seat.connection.write(BURDEN)
        for last_seen in (7, 8, 0):
            await slow.send(type="join_stream", stream_id=g.stream_id, last_seen_seq=last_seen)
        await eventually(lambda: seat.connection.joins >= 3)

        assert seat.transport.get_write_buffer_size() <= len(BURDEN)
        assert (seat.closed, seat.connection.seat) == (True, None)

        seen = len(slow.messages)
        slow.items.clear()
        slow._prev = 0  # noqa: SLF001 - the client's own position in what it joined
        slow.resume()
        await slow.until(lambda v: len(v.items) == 60)
        assert slow.faults == []
        assert [m["reason"] for m in slow.messages[seen:] if m["type"] == "gap"] == []


async def test_everyone_is_pinged_and_the_silent_are_ended(nats_server: NatsServer, tmp_path: Path) -> None:
    """One ping in 20 s for each; whoever answers stays, whoever has said nothing for 60 s goes."""
    clock = HandClock()
    async with here(nats_server.url, tmp_path, clock) as g:
        alive, seat = await g.viewer()
        idle = await SocketViewer(g.url).open()
        reader, writer = await _silent(g.url)
        clock.advance(40)
        for _ in range(PING_S):
            g.sockets.tick()
        await eventually(lambda: all(c.heard_at == 40 for c in g.connections[:2]))
        assert await reader.readexactly(2) == ws.PING
        assert not reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001 - nothing else has come
        clock.advance(21)
        g.sockets.tick()

        assert await reader.read() == b""
        assert (alive.over, idle.over, seat.closed) == (False, False, False)
        writer.close()
        await writer.wait_closed()


async def _silent(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that shakes hands and never says anything again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    return reader, writer


async def test_a_credential_that_ends_ends_the_connection(nats_server: NatsServer, tmp_path: Path) -> None:
    """At `exp`, not a second before; connections without one stay."""
    clock = HandClock()
    async with here(nats_server.url, tmp_path, clock) as g:
        eve = Principal(id="eve", name="Eve", expires_at=clock.now_ms() // 1000 + 10)
        ticket = g.authenticator.mint_ticket(eve, g.stream_id).token
        viewer, _ = await g.viewer(f"?ticket={ticket}")
        anyone, _ = await g.viewer()
        clock.advance(9)
        g.sockets.tick()
        assert viewer.ws is not None
        await (await viewer.ws.ping())
        clock.advance(1)
        g.sockets.tick()
        await viewer.ended()

        assert viewer.close_code == 4401
        assert not anyone.over


async def test_a_private_stream_is_not_there_for_strangers(nats_server: NatsServer, tmp_path: Path) -> None:
    """The rule of every read: the creator by ticket, moderators by token; all others get the answer of an unknown stream."""
    async with here(nats_server.url, tmp_path) as g:
        private = msgspec.structs.replace(g.hub.record, privacy="private")
        assert isinstance(private, StreamRecord)
        g.directory.put(private, 2)
        now_s = g.hub.broker.clock.now_ms() // 1000
        creator = Principal(id=private.broadcaster.id, name="Ada", expires_at=now_s + 60)
        stranger = Principal(id="eve", name="Eve", expires_at=now_s + 60)
        messages = {}
        for name, who in (("creator", creator), ("stranger", stranger), ("nobody", None)):
            query = f"?ticket={g.authenticator.mint_ticket(who, g.stream_id).token}" if who else ""
            viewer = await (await SocketViewer(g.url, query=query).open()).join(g.stream_id)
            messages[name] = viewer.messages[0]

        assert messages["creator"]["type"] == "comments_batch"
        assert [messages[name].get("code") for name in ("stranger", "nobody")] == ["NOT_FOUND"] * 2


async def test_a_person_has_so_many_connections(nats_server: NatsServer, tmp_path: Path) -> None:
    """The limit per person counts connections, watching or not, and gives back what is closed; strangers are not counted."""
    async with here(nats_server.url, tmp_path, OVATION_VIEWERS_PER_PERSON="2") as g:
        ends = g.hub.broker.clock.now_ms() // 1000 + 60
        query = f"?ticket={g.authenticator.mint_ticket(Principal(id='eve', name='Eve', expires_at=ends), g.stream_id).token}"
        first, _ = await g.viewer(query)
        second = await SocketViewer(g.url, query=query).open()
        third = await SocketViewer(g.url, query=query).open()
        await third.ended()
        assert third.close_code == 1013
        for _ in range(3):
            await g.viewer()
        await second.cut()
        await eventually(lambda: g.hub.hub.quotas.taken == 4)
        fourth, _ = await g.viewer(query)

        assert (first.over, fourth.over) == (False, False)


async def test_a_drain_ends_idle_connections_too(nats_server: NatsServer, tmp_path: Path) -> None:
    """Those that watch and those that do not: told when to come back, closed with 1001; later ones are not let in."""
    async with here(nats_server.url, tmp_path) as g:
        watching, _ = await g.viewer()
        idle = await SocketViewer(g.url).open()
        await asyncio.gather(g.hub.hub.drain(0.1), g.sockets.drain(0.1))
        await g.sockets.goodbye()
        for viewer in (watching, idle):
            await viewer.ended()

            assert viewer.close_code == 1001
            assert viewer.messages[-1]["type"] == "reconnect"
        late = await SocketViewer(g.url).open()
        await late.ended()

        assert late.close_code == 1013
        assert g.hub.hub.quotas.taken == 0
        with pytest.raises(ConnectionClosed):
            await late.send(type="leave_stream")
