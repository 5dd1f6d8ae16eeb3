"""Recording as it really runs: workers as processes on JetStream, their home an S3 service."""

import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from infra.objects.s3 import S3
from schemas import subjects
from schemas.records import Recorded, StreamRecord
from schemas.streamid import new_stream_id
from tests import recorded
from tests.backends.nats import NatsServer
from tests.backends.s3 import KEY, WeedServer
from tests.broker import Broker, broker
from tests.encoders import Encoder, picture_and_tone
from tests.ports import free_port
from tests.processes import Process, killed_after
from tests.stopping import stop
from tests.streams import new_stream
from tests.waits import eventually
from workers.media.recording import names
from workers.media.recording.names import Segment

pytestmark = [pytest.mark.media, pytest.mark.nats]


class Room:
    """A stream, its home, and workers for it."""

    def __init__(self, b: Broker, weed: WeedServer, folder: Path, key: str) -> None:
        self.b = b
        self.weed = weed
        self.folder = folder
        self.key = key
        self.stream_id = key.partition("_")[0]
        self.home = S3(weed.access(), weed.bucket, "films")

    def process(self, name: str, *arguments: str, **settings: object) -> Process:
        """A process of ours with a data directory of its own and the home that all share."""
        return Process(
            *arguments,
            log=self.folder / f"{name}.log",
            nats_url=self.b.settings.nats_url,
            data_dir=self.folder / name,
            media_url=f"s3://{self.weed.bucket}/films",
            s3_endpoint=self.weed.endpoint,
            s3_access_key_id=KEY[0],
            s3_secret_access_key=KEY[1],
            ops_port=0,
            **settings,
        )

    def worker(self, name: str, port: int) -> Process:
        """A media worker."""
        return self.process(name, "worker", "media", rtmp_port=port, transcode_heights="0")

    async def segments(self) -> list[Segment]:
        """What of the passthrough is at home."""
        found = [names.segment(name.rpartition("/")[2]) for name in await recorded.names(self.home, self.stream_id)]
        return [each for each in found if each is not None]

    async def has(self, count: int) -> None:
        """Wait until so many segments are at home."""

        async def there() -> bool:
            return len(await self.segments()) >= count

        await eventually(there)

    async def record(self) -> StreamRecord:
        """As it is now."""
        found = await self.b.records.get(self.stream_id)
        assert found is not None
        return found[0]

    async def end(self) -> Recorded:
        """End the stream, and wait for its recording."""

        def ended(old: StreamRecord) -> StreamRecord:
            now = int(time.time() * 1000)
            return msgspec.structs.replace(old, status="ended", video="ended", ended_at=now, change="ended")

        await self.b.records.change(self.stream_id, ended)

        async def ready() -> bool:
            return (await self.record()).recording is not None

        await eventually(ready, timeout=40)
        made = (await self.record()).recording
        assert made is not None
        return made


@asynccontextmanager
async def room(nats: NatsServer, weed: WeedServer, folder: Path) -> AsyncIterator[Room]:
    """With a stream that is live and waits for its encoder."""
    async with broker(nats.url) as b:
        key = await new_stream(b, new_stream_id(int(time.time() * 1000) - 60_000))
        object.__setattr__(b, "settings", msgspec.structs.replace(b.settings, nats_url=nats.url))
        yield Room(b, weed, folder, key)


@asynccontextmanager
async def encoder(port: int, key: str) -> AsyncIterator[Encoder]:
    """One that publishes until it is killed at the end."""
    made = await Encoder.start(f"rtmp://127.0.0.1:{port}/live/{key}", *picture_and_tone(120))
    try:
        yield made
    finally:
        made.kill()
        await made.process.wait()


def shown(playlist: Path) -> int:
    """How many segments a live playlist has had so far."""
    text = playlist.read_text() if playlist.exists() else ""
    return int(text.partition("MEDIA-SEQUENCE:")[2].partition("\n")[0] or 0) + text.count("#EXTINF")


async def test_s3_is_away_and_the_worker_is_killed(
    own_nats_server: NatsServer, own_s3_server: WeedServer, tmp_path: Path
) -> None:
    """Viewers notice neither; all but the part in flight comes home; the recording is told, found and played on a gateway."""
    port, http = free_port(), free_port()
    async with room(own_nats_server, own_s3_server, tmp_path) as at:
        worker, gateway = at.worker("one", port), at.process("gateway", "gateway", http_port=http, jwt_secret="x" * 32)
        playlist = tmp_path / "one" / "media" / at.stream_id / "source" / "index.m3u8"
        spool = tmp_path / "one" / "spool" / "media" / "0" / at.stream_id / "source"
        with killed_after(worker), killed_after(gateway):
            gateway.start()
            await worker.start().ready()
            async with encoder(port, at.key):
                await at.has(2)
                own_s3_server.pause()
                before = shown(playlist)
                await eventually(lambda: shown(playlist) >= before + 2)
                await eventually(lambda: bool(list(spool.glob("*.open"))))
                seen = shown(playlist)
                worker.kill()
            waiting = [path.name for path in spool.iterdir() if path.suffix != ".mp4"]
            assert len(waiting) >= 3
            own_s3_server.resume()
            await worker.start().ready()
            await eventually(lambda: not spool.exists())
            numbers = sorted(each.msn for each in await at.segments())
            assert numbers == list(range(len(numbers)))
            assert len(numbers) in (seen, seen + 1)
            async with encoder(port, at.key):
                await at.has(len(numbers) + 2)
            made = await at.end()

            assert made.duration_ms == sum(each.duration_ms for each in await at.segments())
            there = await recorded.brought(at.home, tmp_path / "copy", at.stream_id)
            assert await recorded.complaints(there / "source" / "index.m3u8") == ""
            mp4 = recorded.only(there, "recording-*.mp4")
            assert await recorded.complaints(mp4) == ""
            assert abs(await recorded.lasts_s(mp4) - made.duration_ms / 1000) < 0.5
            item = await at.b.reader.last("LIVE_0", subjects.live(0, at.stream_id))
            assert item is not None
            assert json.loads(item.payload)["type"] == "recording"
            await gateway.ready()
            await found_on_a_gateway(f"http://127.0.0.1:{http}", at.stream_id, there, made)
    assert "Traceback" not in worker.text


async def found_on_a_gateway(url: str, stream_id: str, there: Path, made: Recorded) -> None:
    """What the API says leads to what is at home."""
    async with httpx.AsyncClient(base_url=url) as client:
        told = (await client.get(f"/api/v1/streams/{stream_id}/recording")).json()
        assert told["duration_s"] == made.duration_ms / 1000
        mp4 = recorded.only(there, "recording-*.mp4")
        assert told["size_bytes"] == mp4.stat().st_size
        assert told["hls_url"] == f"{url}/hls/{stream_id}/recording/master.m3u8"
        assert (await client.get(told["hls_url"])).content == (there / "master.m3u8").read_bytes()
        part = await client.get(told["mp4_url"], headers={"range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, mp4.read_bytes()[100:200])
        assert (await client.get(told["poster_url"])).content[:2] == b"\xff\xd8"
        cues = (await client.get(told["strip_url"])).text
        pictures = told["strip_url"].rpartition("/")[0] + "/" + cues.partition("#xywh")[0].splitlines()[-1]
        assert (await client.get(pictures)).content[:2] == b"\xff\xd8"
        stream = (await client.get(f"/api/v1/streams/{stream_id}")).json()
        assert (await client.get(stream["thumbnail_url"])).content[:2] == b"\xff\xd8"
        assert stream["strip_url"] == told["strip_url"]


async def test_another_worker_takes_the_stream(own_nats_server: NatsServer, own_s3_server: WeedServer, tmp_path: Path) -> None:
    """With a folder of its own it begins above all numbers of the first, which was paused, and writes no more once it is told.

    What the first made between its waking and that moment is at home, under its own generation, and in no playlist.
    """
    one_port, two_port = free_port(), free_port()
    async with room(own_nats_server, own_s3_server, tmp_path) as at:
        one, two = at.worker("one", one_port), at.worker("two", two_port)
        with killed_after(one), killed_after(two):
            one.start()
            two.start()
            await one.ready()
            await two.ready()
            async with encoder(one_port, at.key):
                await at.has(2)
                stop(one.pid)
                first = await at.segments()
                async with encoder(two_port, at.key):
                    await at.has(len(first) + 2)
                    os.kill(one.pid, signal.SIGCONT)
                    await eventually(lambda: "another worker has the stream" in one.text)
                    told_ms = time.time() * 1000
                    await at.has(len(await at.segments()) + 1)
            made = await at.end()
        found = await at.segments()
        old = [each for each in found if each.generation == first[0].generation]
        new = [each for each in found if each.generation != first[0].generation]
        assert max(each.msn for each in old) + 100 < min(each.msn for each in new)
        assert max(each.discontinuity for each in old) < min(each.discontinuity for each in new)
        assert max(each.end_ms for each in old) <= told_ms
        begins = min(each.date_ms for each in new)
        published = [each for each in found if each in new or each.date_ms < begins]
        assert made.duration_ms == sum(each.duration_ms for each in published)
        there = await recorded.brought(at.home, tmp_path / "copy", at.stream_id)
        assert await recorded.complaints(recorded.only(there, "recording-*.mp4")) == ""
        assert len(set(recorded.uris(there / "source" / "index.m3u8"))) == len(published)
