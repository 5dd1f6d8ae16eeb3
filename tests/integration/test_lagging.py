"""Reads that a replica answers which lags: nothing that the log's leader has is taken for missing."""

import asyncio
import uuid
from pathlib import Path

import pytest

from infra.errors import Unavailable
from infra.jetstream.reader import LAG_RETRIES
from schemas import codec, subjects
from tests.backends.nats import NatsServer
from tests.broker import broker, fresh_stream
from tests.factories import comment
from tests.hubs import gateway
from tests.lagging import LaggingReader
from tests.slowfeed import SlowFeed

pytestmark = pytest.mark.nats


@pytest.mark.parametrize("end", ["mine", "other's", "erased"])
async def test_a_range_is_whole_where_replicas_lag(nats_server: NatsServer, end: str) -> None:
    """Whatever stands at its end: what the log's leader has of the stream up to there is waited for, and nothing else."""
    async with broker(nats_server.url, reads=LaggingReader) as b:
        mine, other = subjects.live(0, fresh_stream()), subjects.live(0, fresh_stream())
        order = [mine, mine, other, mine, *([other] if end == "other's" else [mine])]
        seqs = [(await b.publisher.publish(each, b"x", uuid.uuid4().hex)).seq for each in order]
        if end == "erased":
            await b.connection.request("$JS.API.STREAM.MSG.DELETE.LIVE_0", b'{"seq": %d}' % seqs[-1])
        assert isinstance(b.reader, LaggingReader)
        b.reader.taken, b.reader.late = seqs[0], 3
        read = await b.reader.range("LIVE_0", mine, seqs[0] - 1, seqs[-1])
        b.reader.late = 3
        of_all = await b.reader.range("LIVE_0", "live.0.*", seqs[0] - 1, seqs[-1])

        assert [message.seq for message in read] == [seqs[0], seqs[1], seqs[3], *([seqs[4]] if end == "mine" else [])]
        assert [message.seq for message in of_all if message.seq in seqs] == [*seqs[:4], *([] if end == "erased" else seqs[4:])]


async def test_replicas_that_stay_behind_are_said_to(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded number of questions later the read fails, rather than end short."""
    monkeypatch.setattr("infra.jetstream.reader.LAG_WAIT_S", 0.001)
    async with broker(nats_server.url, reads=LaggingReader) as b:
        mine, other = subjects.live(0, fresh_stream()), subjects.live(0, fresh_stream())
        seqs = [(await b.publisher.publish(each, b"x", uuid.uuid4().hex)).seq for each in (mine, mine, other)]
        assert isinstance(b.reader, LaggingReader)
        b.reader.taken, b.reader.late = seqs[0], LAG_RETRIES + 2
        with pytest.raises(Unavailable, match=f"stay behind seq {seqs[1]}"):
            await b.reader.range("LIVE_0", mine, seqs[0] - 1, seqs[-1])

        assert b.reader.late == 0


async def test_a_position_of_another_stream_hides_nothing(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Feed and replicas a moment behind the log whose tail a viewer brings: what lies before that comes to everybody."""
    feed = SlowFeed(monkeypatch)
    async with gateway(nats_server.url, tmp_path, reads=LaggingReader) as g:
        reader = g.broker.reader
        assert isinstance(reader, LaggingReader)
        early = await g.viewer(backfill=0).open()
        seqs = [await g.say(comment(1))]
        await early.until(lambda v: v.seqs == seqs)
        feed.holds, reader.taken, reader.late = True, seqs[0], 3
        seqs += [await g.say(comment(n)) for n in (2, 3)]
        other = subjects.live(0, fresh_stream())
        elsewhere = (await g.broker.publisher.publish(other, codec.encode(comment(4)), uuid.uuid4().hex)).seq
        viewer = await g.viewer(last_id=elsewhere).open()
        await early.until(lambda v: v.last_id == elsewhere)
        feed.let_go()
        seqs.append(await g.say(comment(5)))
        await asyncio.gather(*(each.until(lambda v: v.seqs[-1:] == seqs[-1:]) for each in (early, viewer)))
        resumed = await g.viewer(last_id=seqs[0]).open()
        await resumed.until(lambda v: v.seqs[-1:] == seqs[-1:])

        assert [early.seqs, resumed.seqs, viewer.seqs] == [seqs, seqs[1:], seqs[-1:]]
        assert early.faults == resumed.faults == viewer.faults == []
