"""What a broadcaster is told over the API: where to send the video, and what the server takes of it."""

from pathlib import Path

import msgspec
import pytest

from schemas.media import Event, Ingest, IngestStarted, Warned
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker
from tests.cluster import cluster
from tests.processes import Client
from workers.media.ledger import Ledger

pytestmark = pytest.mark.nats

SENT = Ingest(
    state="publishing",
    encoder="Lavf61.7.100",
    codecs="avc1.64001f,mp4a.40.2",
    width=1280,
    height=720,
    frame_rate=30.0,
    bit_rate=4_100_000,
    warnings=[Warned(about="keyframes", text="Keyframes are 4.0 s apart.")],
)


def event(stream_id: str, ingest: Ingest | None) -> Event:
    """What a media worker tells."""
    return IngestStarted(
        stream_id=stream_id,
        lease=7,
        generation=0,
        worker="one",
        at="2026-11-21T04:35:54.123Z",
        clock=None,
        ingest=ingest,
        away_ms=None,
    )


async def tell(b: Broker, told: Event) -> None:
    """Write it."""
    ledger = Ledger(b.publisher, b.reader, "one")
    ledger.tell(told)
    await ledger.settled()


async def test_the_creator_reads_what_the_server_takes(nats_server: NatsServer, tmp_path: Path) -> None:
    """Warnings and measures, for the creator alone and while the stream is live; nobody else sees a trace of it."""
    async with (
        cluster(nats_server, tmp_path) as c,
        broker(nats_server.url, apply=False) as b,
        await Client(c.url(0)).guest() as ada,
        await Client(c.url(0)).guest("Bob") as bob,
    ):
        begun = await ada.start()
        stream_id = begun["stream_id"]
        assert begun["rtmps_url"] is None

        async def ingest(who: Client) -> object:
            answer = await who.http.get(f"/streams/{stream_id}")
            return answer.json()["ingest"]

        assert await ingest(ada) is None
        await tell(b, event(stream_id, SENT))
        shown = await ingest(ada)
        assert isinstance(shown, dict)
        assert msgspec.convert(shown, Ingest) == SENT
        assert shown["at"] == "2026-11-21T04:35:54.123Z"
        assert await ingest(bob) is None
        listed = (await ada.http.get("/streams?status=live")).json()["streams"]
        assert [each["ingest"] for each in listed if each["stream_id"] == stream_id] == [None]
        assert (await ada.http.post(f"/streams/{stream_id}/end")).status_code == 200
        assert await ingest(ada) is None


async def test_rtmps_is_told_of_where_it_is_offered(nats_server: NatsServer, tmp_path: Path) -> None:
    """At the start and with a new key."""
    async with (
        cluster(nats_server, tmp_path, rtmps_certificate_file="pair.pem", rtmps_port=1999) as c,
        await Client(c.url(0)).guest() as ada,
    ):
        begun = await ada.start()
        changed = (await ada.http.post(f"/streams/{begun['stream_id']}/key")).json()
        assert begun["rtmps_url"] == changed["rtmps_url"]
        assert begun["rtmps_url"].startswith("rtmps://")
        assert begun["rtmps_url"].endswith(":1999/live")
