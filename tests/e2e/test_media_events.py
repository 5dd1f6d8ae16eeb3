"""What is told of a broadcast: the log `MEDIA` and the items on the live log, over everything that happens to a show."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from infra.errors import Unavailable
from infra.heights import Heights
from infra.jetstream.streamleases import StreamLeases
from infra.settings import Settings
from schemas import subjects
from schemas.media import EncoderWarned, Event, IngestStarted, IngestStopped, RenditionReady, TranscoderRestarted
from schemas.times import parse_rfc3339
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker
from tests.encoders import NO_RUNGS, Encoder, picture_and_tone, studio, transcoders
from tests.ports import free_port
from tests.stopping import stop
from tests.streams import new_stream
from tests.waits import PATIENCE_S, eventually
from workers.media.ingest import run
from workers.media.keys import Keys
from workers.media.ledger import Ledger
from workers.media.rtmp.limits import Limits

AWAY_S = 5.0

pytestmark = [pytest.mark.media, pytest.mark.nats, pytest.mark.e2e]


class Kept:
    """A journal in memory."""

    worker = "one"

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        """As `Journal.tell`."""
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        """Of what was told."""
        return names(self.events)


def names(events: Sequence[Event]) -> list[str]:
    """Their types."""
    return [each.__struct_config__.tag for each in events]  # type: ignore[misc]  # every one of them has a tag of text


def check_clocks(events: Sequence[Event]) -> None:
    """No clock goes back."""
    clocks = [each.clock for each in events if each.clock is not None]
    dates = [parse_rfc3339(each.program_date_time) for each in clocks]
    assert dates == sorted(dates)
    by_generation: dict[int, list[int]] = {}
    for each in events:
        if each.clock is not None and each.clock.media_ms is not None and not isinstance(each, IngestStarted):
            by_generation.setdefault(each.generation, []).append(each.clock.media_ms)
    assert all(found == sorted(found) for found in by_generation.values())
    times = [each.at for each in events]
    assert times == sorted(times)


def check_dates(events: Sequence[Event]) -> None:
    """What can be fetched while an encoder publishes was seen by it a moment ago."""
    for each in events:
        if isinstance(each, (RenditionReady, TranscoderRestarted)):
            assert each.clock is not None
            # The first segment is told when the second is there, too (FIRST_MS): 1.0 s. The rest is for a busy machine.
            assert abs(parse_rfc3339(each.at) - parse_rfc3339(each.clock.program_date_time)) < 5000, each


class Worker:
    """A media worker on JetStream, in this process."""

    def __init__(self, name: str, port: int, root: Path) -> None:
        self.name = name
        self.port = port
        self.root = root

    async def push(self, key: str, *arguments: str) -> Encoder:
        """Start an encoder."""
        return await Encoder.start(f"rtmp://127.0.0.1:{self.port}/live/{key}", *(arguments or picture_and_tone(60)))


@asynccontextmanager
async def worker(url: str, name: str, root: Path) -> AsyncIterator[Worker]:
    """Run one; it drains at the end."""
    port = free_port()
    stopping, ready = asyncio.Event(), asyncio.Event()
    async with broker(url, apply=False) as b:
        ownership = StreamLeases(b.bucket("leases"), b.feed, b.clock, name, f"http://{name}")
        ledger = Ledger(b.publisher, b.reader, name)
        settings = Settings(rtmp_port=port, media_url=f"file://{root}", transcode_heights=Heights((144,)))
        running = asyncio.create_task(
            run(settings, Keys(b.records, b.feed, b.clock), stopping, ready.set, ownership=ownership, journal=ledger)
        )
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        try:
            yield Worker(name, port, root)
        finally:
            stopping.set()
            await running
            await ledger.close()
            await ownership.close()


async def told(b: Broker, stream_id: str) -> list[Event]:
    """What the log `MEDIA` has of a stream."""
    found = await b.reader.follow_from("MEDIA", subjects.media(stream_id), 0)
    return [msgspec.json.decode(each.payload, type=Event) for each in found]


async def items(b: Broker, stream_id: str) -> list[str]:
    """The types of the items viewers were sent."""
    found = await b.reader.follow_from("LIVE_0", subjects.live(0, stream_id), 0)
    return [msgspec.json.decode(each.payload)["type"] for each in found]


async def until(b: Broker, stream_id: str, wanted: list[str]) -> list[Event]:
    """Wait until the log has exactly *wanted*; fail where it never has."""
    found: list[Event] = []

    async def there() -> bool:
        nonlocal found
        with contextlib.suppress(Unavailable):
            found = await told(b, stream_id)
        return len(found) >= len(wanted)

    await eventually(there)
    assert names(found) == wanted
    return found


@asynccontextmanager
async def killed(*encoders: Encoder) -> AsyncIterator[None]:
    """End them when this ends."""
    try:
        yield
    finally:
        for encoder in encoders:
            encoder.kill()
            await encoder.process.wait()


BEGINS = ["ingest_started", "generation_began", "rendition_ready", "rendition_ready"]


async def test_a_show_with_everything_that_happens_to_one(
    own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transcoder killed, broker away while the encoder drops, its return, a replacement, the end: each told once, in order."""
    monkeypatch.setattr("workers.media.report._MOST_S", 0.5)
    async with broker(own_nats_server.url) as b, worker(own_nats_server.url, "one", tmp_path) as one:
        key = await new_stream(b)
        stream_id = key.partition("_")[0]
        encoders = [await one.push(key)]
        wanted = list(BEGINS)
        await until(b, stream_id, wanted)

        os.kill(transcoders()[0], signal.SIGKILL)
        wanted += ["transcoder_died", "transcoder_restarted"]
        await until(b, stream_id, wanted)

        own_nats_server.kill()
        encoders[0].kill()
        await eventually(lambda: b.connection.down_s >= AWAY_S)
        own_nats_server.start()
        wanted += ["ingest_stopped"]
        await until(b, stream_id, wanted)

        # Only then: what viewers have not been told yet is not told any more once the video runs again.
        async def interrupted() -> bool:
            return await items(b, stream_id) == ["live", "interrupted"]

        await eventually(interrupted)
        encoders.append(await one.push(key))
        wanted += BEGINS
        await until(b, stream_id, wanted)
        encoders.append(await one.push(key))
        wanted += ["ingest_stopped", *BEGINS]
        await until(b, stream_id, wanted)

        await b.records.change(
            stream_id, lambda old: msgspec.structs.replace(old, status="ended", video="ended", change="ended")
        )
        wanted += ["ingest_stopped"]
        found = await until(b, stream_id, wanted)
        await eventually(lambda: (tmp_path / stream_id / "source" / "index.m3u8").read_bytes().endswith(b"ENDLIST\n"))
        for encoder in encoders:
            encoder.kill()
            await encoder.process.wait()

        check_clocks(found)
        check_dates(found)
        assert [each.reason for each in found if isinstance(each, IngestStopped)] == ["lost", "replaced", "cut"]
        assert [each.away_ms is None for each in found if isinstance(each, IngestStarted)] == [True, False, False]
        assert len({each.lease for each in found}) == 1
        assert {each.worker for each in found} == {"one"}
        assert await items(b, stream_id) == ["live", "interrupted", "live", "ended"]
        assert key.partition("_")[2] not in str(found)
        assert "127.0.0.1" not in str(found)


async def test_a_stream_that_moves_to_another_worker(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The new owner's events have a higher lease, none of the old one's follow them, and viewers are told of no change."""
    url = own_nats_server.url
    async with broker(url) as b, worker(url, "one", tmp_path) as one, worker(url, "two", tmp_path) as two:
        key = await new_stream(b)
        stream_id = key.partition("_")[0]
        first = await one.push(key)
        await until(b, stream_id, BEGINS)
        async with killed(first, await two.push(key)):

            async def moved() -> bool:
                return [each.worker for each in await told(b, stream_id)].count("two") >= len(BEGINS)

            await eventually(moved)
            assert (await first.finished())[0] != 0
        found = await told(b, stream_id)
        leases = [each.lease for each in found]
        assert leases == sorted(leases)
        assert len(set(leases)) == 2
        assert names([each for each in found if each.worker == "two"])[: len(BEGINS)] == BEGINS
        check_clocks([each for each in found if not isinstance(each, IngestStopped)])
        assert await items(b, stream_id) == ["live"]


async def test_what_an_encoder_is_told_and_how_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide keyframes are a warning that the state keeps; one that stops says so; one that falls silent has timed out."""
    monkeypatch.setattr("workers.media.rtmp.limits.Limits.of", lambda _: Limits(silence_s=3.0))
    kept = Kept()
    async with studio(tmp_path, journal=kept, transcode_heights=NO_RUNGS) as video:
        first = await video.push(*picture_and_tone(6, speed=2, group=75))
        assert (await first.finished())[0] == 0
        assert kept.types == ["ingest_started", "generation_began", "rendition_ready", "encoder_warned", "ingest_stopped"]
        warned, stopped = kept.events[-2:]
        assert isinstance(warned, EncoderWarned)
        assert isinstance(stopped, IngestStopped)
        # What FFmpeg has not read when it closes resets its connection, and its last words may be lost with that.
        assert stopped.reason in {"closed", "lost"}
        assert warned.about == "keyframes"
        assert stopped.ingest is not None
        assert [each.text for each in stopped.ingest.warnings] == [warned.text]
        assert (stopped.ingest.width, stopped.ingest.height, stopped.ingest.frame_rate) == (320, 180, 30.0)
        assert (stopped.ingest.encoder or "").startswith("Lavf")
        assert stopped.clock is not None
        assert abs((stopped.clock.media_ms or 0) - 6000) < 100
        second = await video.push(*picture_and_tone(60))
        await eventually(lambda: kept.types[-1] == "rendition_ready")
        stop(second.process.pid)
        await eventually(lambda: kept.types[-1] == "ingest_stopped")
        assert isinstance(kept.events[-1], IngestStopped)
        assert kept.events[-1].reason == "timed_out"
        assert kept.events[-1].ingest is not None
        assert kept.events[-1].ingest.warnings == []
        check_clocks(kept.events)
