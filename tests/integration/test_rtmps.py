"""RTMP over TLS: the same port behind a handshake, with the same limits."""

import asyncio
import shutil
import socket
import ssl
import time
from pathlib import Path

import msgspec
import pytest

from infra.clock import SystemClock
from infra.errors import BadSettings
from tests.certificates import Pair
from tests.dialogues import AAC_HEADER, AVC_HEADER, keyframe
from tests.encoders import FFMPEG, KEY, picture_and_tone, studio
from tests.ports import free_port
from tests.rtmp import HELLO
from tests.rtmp_port import SHORT, listening
from tests.waits import PATIENCE_S, eventually
from workers.media.rtmp.certificate import Certificate
from workers.media.rtmp.limits import Limits

LONG = Limits(handshake_s=60, publish_s=60, silence_s=60, close_s=0.3)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A certificate for localhost."""
    return Pair(tmp_path / "tls")


@pytest.fixture
def context(pair: Pair) -> ssl.SSLContext:
    """The server's context with it."""
    return Certificate.read(str(pair.certificate), str(pair.key), SystemClock()).context


async def test_an_encoder_publishes_over_tls(pair: Pair, context: ssl.SSLContext) -> None:
    """The dialogue, media larger than a TLS record, and the end."""
    async with listening(LONG, context=context) as port:
        publisher = await port.peer(pair.trusted())
        assert (await publisher.publish("good"))["code"] == "NetStream.Publish.Start"
        bodies = [AVC_HEADER, keyframe(200_000), keyframe(7)]
        for n, body in enumerate(bodies):
            publisher.send(9, body, 40 * n)
        publisher.send(8, AAC_HEADER, 90)
        await eventually(lambda: len(port.stage.tags) == 4)
        assert [*bodies, AAC_HEADER] == [tag.payload for tag in port.stage.tags]
        publisher.writer.close()
        await eventually(lambda: port.server.connections == 0)
        assert port.stage.publisher is None


async def test_a_refusal_is_read_over_tls(pair: Pair, context: ssl.SSLContext) -> None:
    """The reason, then TLS's own end and no reset."""
    async with listening(LONG, context=context) as port:
        publisher = await port.peer(pair.trusted())
        assert (await publisher.publish("wrong"))["description"] == "Unknown stream key."
        assert await publisher.reader.read() == b""


@pytest.mark.parametrize(
    "said",
    [HELLO, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600)],
    ids=["plain", "http", "hello"],
)
async def test_what_is_no_tls_is_closed_at_once(context: ssl.SSLContext, said: bytes) -> None:
    """Plain RTMP, HTTP, and a TLS greeting that is none."""
    async with listening(LONG, context=context) as port:
        publisher = await port.peer()
        publisher.writer.write(said)
        async with asyncio.timeout(PATIENCE_S):
            await publisher.finish()
        await eventually(lambda: port.server.connections == 0)


async def test_whoever_never_finishes_the_handshake_is_counted_and_closed(pair: Pair, context: ssl.SSLContext) -> None:
    """A TLS greeting byte by byte takes a place like any connection, and loses it at the deadline."""
    outgoing = ssl.MemoryBIO()
    client = pair.trusted().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    async with listening(msgspec.structs.replace(SHORT, connections=1), context=context) as port:
        began = time.monotonic()
        slow = await port.peer()
        for byte in outgoing.read(40):
            slow.writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        await eventually(lambda: port.server.connections == 1)
        second, last = await port.peer(), asyncio.create_task(slow.finish())
        await second.finish()
        assert not last.done()
        await last
        assert SHORT.handshake_s - 0.1 < time.monotonic() - began < SHORT.handshake_s + 10


async def test_a_renewed_certificate_is_shown_to_the_next_peer(pair: Pair, tmp_path: Path) -> None:
    """Connections that are there go on."""
    certificate = Certificate.read(str(pair.certificate), str(pair.key), SystemClock())
    async with listening(LONG, context=certificate.context) as port:
        first = await port.peer(pair.trusted())
        fresh = Pair(tmp_path / "fresh")
        shutil.copy2(fresh.certificate, pair.certificate)
        shutil.copy2(fresh.key, pair.key)
        assert certificate.renew()
        second = await port.peer(fresh.trusted())
        assert (await second.publish("good"))["level"] == "status"
        assert (await first.publish("wrong"))["level"] == "error"


@pytest.mark.media
async def test_ffmpeg_publishes_to_a_worker_over_rtmps(pair: Pair, tmp_path: Path) -> None:
    """The whole worker, set up by its settings; plain RTMP goes on beside it."""
    port = free_port()
    async with studio(
        tmp_path / "media", rtmps_port=port, rtmps_certificate_file=str(pair.certificate), rtmps_key_file=str(pair.key)
    ) as video:
        process = await asyncio.create_subprocess_exec(
            *(FFMPEG, "-nostdin", "-v", "error", *picture_and_tone(20), "-f", "flv", "-tls_verify", "0"),
            f"rtmps://localhost:{port}/live/{KEY}",
        )
        try:
            await video.segments(2)
        finally:
            process.kill()
            await process.wait()
        since = len(video.registry.states)
        await video.push(*picture_and_tone(20))
        await video.state("live", since=since)


async def test_certificates_and_ports_that_are_wrong_stop_the_start(pair: Pair, tmp_path: Path) -> None:
    """Before anything listens, with the variable's name."""
    with pytest.raises(BadSettings, match="OVATION_RTMPS_CERTIFICATE_FILE"):
        async with studio(tmp_path / "media", rtmps_certificate_file=str(tmp_path / "absent.pem")):
            pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(BadSettings, match=f"OVATION_RTMPS_PORT={number}"):
            async with studio(tmp_path / "media", rtmps_port=number, rtmps_certificate_file=str(pair.both)):
                pass
