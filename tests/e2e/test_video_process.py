"""`ovation worker media` as it really runs: on JetStream, in a process of its own, with a key from a stream's record."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from schemas import subjects
from schemas.media import Event, IngestStarted, IngestStopped
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker
from tests.encoders import Encoder, picture_and_tone
from tests.hls import playlist, rules
from tests.ports import free_port
from tests.processes import Process, killed_after
from tests.streams import new_stream, record_of
from tests.waits import eventually

pytestmark = [pytest.mark.media, pytest.mark.nats]


@asynccontextmanager
async def broadcast(url: str, key: str) -> AsyncIterator[Encoder]:
    """An encoder that publishes with *key*, killed at the end."""
    encoder = await Encoder.start(f"{url}/{key}", *picture_and_tone(60))
    try:
        yield encoder
    finally:
        encoder.kill()
        await encoder.process.wait()


async def check_told(b: Broker, key: str) -> None:
    """What the test below left on the logs: each transition and each event once, under two leases, and no key."""
    stream_id = key.partition("_")[0]
    live = await b.reader.follow_from("LIVE_0", subjects.live(0, stream_id), 0)
    # Its key has started the stream; the encoder was back before anybody had to be told that the worker was killed.
    types = [msgspec.json.decode(each.payload)["type"] for each in live]
    assert types == ["settings", "live", "interrupted", "live", "ended"]
    told = await b.reader.follow_from("MEDIA", subjects.media(stream_id), 0)
    events = [msgspec.json.decode(each.payload, type=Event) for each in told]
    assert sum(isinstance(each, IngestStarted) for each in events) == 3
    assert [each.reason for each in events if isinstance(each, IngestStopped)] == ["lost", "cut"]
    assert len({each.lease for each in events}) == 2
    assert key.partition("_")[2] not in str(events)


async def test_a_stream_is_broadcast_by_a_worker_that_is_killed_once(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Its key starts a scheduled stream; the record follows the video over kill -9; its end closes all; no key is logged."""
    port, media = free_port(), tmp_path / "media"
    worker = Process(
        *("worker", "media"),
        log=tmp_path / "worker.log",
        nats_url=own_nats_server.url,
        rtmp_port=port,
        media_url=f"file://{media}",
        ops_port=0,
    )
    url = f"rtmp://127.0.0.1:{port}/live"
    async with broker(own_nats_server.url) as b:
        key = await new_stream(b, status="scheduled")
        index = media / key.partition("_")[0] / "source" / "index.m3u8"

        async def video(state: str) -> None:
            async def shows() -> bool:
                return (await record_of(b, key)).video == state

            await eventually(shows)

        with killed_after(worker):
            await worker.start().ready()
            async with broadcast(url, key) as encoder:
                await video("live")
                now = await record_of(b, key)
                assert (now.status, now.change, now.started_at is not None) == ("live", "live", True)
                await eventually(lambda: index.exists() and index.read_text().count("#EXTINF") >= 3)
                worker.kill()
                assert (await encoder.finished())[0] != 0
            before = index.read_bytes()

            await worker.start().ready()
            async with broadcast(url, key) as encoder:
                last = playlist.read(before).segments[-1].msn
                await eventually(lambda: playlist.read(index.read_bytes()).segments[-1].msn > last + 1)
                assert rules.check_update(before, index.read_bytes()) == []
                encoder.kill()
                await video("interrupted")
            async with broadcast(url, key) as encoder:
                await video("live")
                await b.records.change(
                    key.partition("_")[0],
                    lambda old: msgspec.structs.replace(old, status="ended", video="ended", change="ended"),
                )
                assert (await encoder.finished())[0] != 0
            await eventually(lambda: index.read_bytes().endswith(b"#EXT-X-ENDLIST\n"))
            async with broadcast(url, key) as encoder:
                assert "ended" in (await encoder.finished())[1]
            os.kill(worker.pid, signal.SIGTERM)
            assert worker.wait() == 0
        await check_told(b, key)
    assert key.partition("_")[2] not in worker.text
    assert "publishing" in worker.text
