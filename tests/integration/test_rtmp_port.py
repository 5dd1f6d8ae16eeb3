"""Peers of every kind on the real RTMP port: those that publish, and those that only cost something."""

import asyncio
import itertools
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from infra.clock import HandClock
from infra.limit import Limit
from infra.telemetry import metrics
from tests.dialogues import AAC_HEADER, AVC_HEADER, keyframe, picture, sound
from tests.rtmp import CONNECT, HELLO, Publisher, chunk, command
from tests.rtmp_port import SHORT, Port, listening
from tests.waits import PATIENCE_S, eventually
from workers.media.rtmp.limits import Limits

SHAKEN = HELLO + bytes(1536)
#: Where the deadlines are those of `LONG`, and by how much others may be missed: other tests have the cores now and then.
AT_ONCE_S, LATE_S = 10.0, 10.0
LONG = Limits(handshake_s=60, publish_s=60, silence_s=60, close_s=0.3)


async def closed_after(publisher: Publisher) -> float:
    """Wait for the server to close; how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        await publisher.finish()
    return time.monotonic() - began


async def publishing(port: Port) -> Publisher:
    """An encoder whose key was accepted."""
    publisher = await port.peer()
    assert (await publisher.publish("good"))["code"] == "NetStream.Publish.Start"
    return publisher


async def refusal(port: Port, key: str) -> str:
    """Publish with a key that is refused; what the broadcaster reads."""
    publisher = await port.peer()
    status = await publisher.publish(key)
    assert (status["level"], status["code"]) == ("error", "NetStream.Publish.BadName")
    publisher.writer.close()
    return str(status["description"])


NONSENSE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "rtmpe": b"\x06" + bytes(1536),
    "media-before-publish": SHAKEN + CONNECT + chunk(9, keyframe(64), channel=6, stream_id=1),
    "amf-depth": SHAKEN + chunk(20, b"\x02\x00\x07connect\x00" + bytes(8) + b"\x03\x00\x01a" * 60),
    "amf-size": SHAKEN + chunk(20, b"\x02\x00\x07connect\x00" + bytes(8) + b"\x0a\x7f\xff\xff\xff"),
    "16-mb-command": SHAKEN + b"\x03\0\0\0\xff\xff\xff\x14" + bytes(4),
    "70-chunk-streams": SHAKEN + b"".join(b"\x00" + bytes((n,)) + b"\0\0\0\0\0\x40\x14" + bytes(68) for n in range(70)),
    "one-byte-chunks": SHAKEN + chunk(1, (1).to_bytes(4, "big"), channel=2),
    "endless-chatter": SHAKEN + CONNECT + command("releaseStream", 2.0, None, "k" * 1000) * 150,
    "play": SHAKEN + CONNECT + command("play", 3.0, None, "good"),
    "another-app": SHAKEN + command("connect", 1.0, {"app": "vod"}),
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=list(NONSENSE))
async def test_nonsense_is_closed_at_once(said: bytes) -> None:
    """Whatever is no publisher is closed long before any deadline, without a key being asked for."""
    async with listening(LONG) as port:
        publisher = await port.peer()
        publisher.writer.write(said)
        assert await closed_after(publisher) < AT_ONCE_S
        await eventually(lambda: port.server.connections == 0)
        assert port.stage.asked == []


async def test_random_bytes_are_closed_within_the_limits() -> None:
    """Two hundred peers that say anything at all, some as a handshake would begin: all are gone when the deadlines are over."""
    rng = random.Random(5)
    async with listening(msgspec.structs.replace(SHORT, per_address=0, connections=300)) as port:
        peers = []
        for n in range(200):
            peer = await port.peer()
            peer.writer.write((SHAKEN, b"\x03", b"")[n % 3] + rng.randbytes(rng.choice((1, 100, 4000))))
            peers.append(peer)
        began = time.monotonic()
        await asyncio.gather(*(closed_after(peer) for peer in peers))
        assert time.monotonic() - began < SHORT.publish_s + LATE_S
        assert port.stage.asked == []


async def drip(pieces: Iterator[bytes], publisher: Publisher) -> None:
    """Send a piece every 50 ms, until the server closes."""
    for piece in pieces:
        publisher.writer.write(piece)
        try:
            async with asyncio.timeout(0.05):
                while await publisher.reader.read(65_536):
                    pass
                return
        except TimeoutError:
            continue
        except ConnectionResetError:
            return


def byte_by_byte(raw: bytes) -> Iterator[bytes]:
    """The slowest way to say *raw*."""
    return (bytes((byte,)) for byte in raw)


@pytest.mark.parametrize(
    ("first", "then", "limit"),
    [
        (b"", iter(()), SHORT.handshake_s),
        (b"", byte_by_byte(HELLO), SHORT.handshake_s),
        (SHAKEN, byte_by_byte(CONNECT + command("createStream", 2.0, None)), SHORT.publish_s),
        (SHAKEN + CONNECT, itertools.repeat(command("releaseStream", 2.0, None, "k")), SHORT.publish_s),
    ],
    ids=["silence", "handshake-by-bytes", "commands-by-bytes", "commands-without-end"],
)
async def test_a_peer_that_never_comes_to_publish(first: bytes, then: Iterator[bytes], limit: float) -> None:
    """Neither silence nor a byte now and then gets anybody past the deadline, which counts from connecting."""
    async with listening() as port:
        began = time.monotonic()
        publisher = await port.peer()
        publisher.writer.write(first)
        await drip(then, publisher)
        await closed_after(publisher)
        assert limit - 0.1 < time.monotonic() - began < limit + LATE_S
        await eventually(lambda: port.server.connections == 0)


VIDEO = chunk(9, keyframe(4000), channel=6, stream_id=1)


@pytest.mark.parametrize(
    "then",
    [iter(()), byte_by_byte(VIDEO), itertools.repeat(chunk(4, b"\0\6" + bytes(4), channel=2))],
    ids=["silence", "by-bytes", "pings-alone"],
)
async def test_a_publisher_that_sends_no_media(then: Iterator[bytes]) -> None:
    """What counts is a whole message of media: bytes of one, and messages of other kinds, keep nobody connected."""
    async with listening() as port:
        began = time.monotonic()
        publisher = await publishing(port)
        await drip(then, publisher)
        await closed_after(publisher)
        assert SHORT.silence_s - 0.1 < time.monotonic() - began < SHORT.silence_s + LATE_S
        await eventually(lambda: port.stage.publisher is None)
        assert port.stage.tags == []


async def test_a_publisher_that_goes_on_is_kept() -> None:
    """Frames at less than the limit of silence keep the connection for longer than every deadline together."""
    async with listening() as port:
        publisher = await publishing(port)
        publisher.send(8, AAC_HEADER)
        for n in range(1, 22):
            await drip(iter([chunk(8, sound(50), channel=6, timestamp=200 * n, stream_id=1)]), publisher)
            await eventually(lambda n=n: len(port.stage.tags) == n + 1)  # type: ignore[misc]  # the loop's own number
            await drip(iter([b"", b"", b""]), publisher)
        assert port.stage.publisher is not None


async def test_a_clock_that_stands_still_is_told_that_the_line_is_slow() -> None:
    """A frame now and then is no broadcast: after a while its line is called too slow."""
    async with listening(msgspec.structs.replace(SHORT, pace_s=0.5)) as port:
        publisher = await publishing(port)
        statuses = asyncio.create_task(publisher.status())
        for n in itertools.count():
            if statuses.done():
                break
            publisher.send(8, sound(20), n)
            await asyncio.wait([statuses], timeout=0.05)
        assert "too slow" in str((await statuses)["description"])
        await eventually(lambda: port.stage.publisher is None)


async def test_a_peer_that_reads_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for answers without end and leaves them unread: what is kept for it is bounded."""
    # So that it is not the kernel, which gives up what is not acknowledged for 10 s.
    monkeypatch.setattr("workers.media.rtmp.wire._UNACKNOWLEDGED_MS", 600_000)
    async with listening(msgspec.structs.replace(LONG, messages=10**9, bit_rate=1e12)) as port:
        raw = socket.socket()
        # Before it connects, so that the server's kernel holds little for it as well.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", port.number))
        publisher = Publisher(*await asyncio.open_connection(sock=raw))
        assert (await publisher.publish("good"))["level"] == "status"
        publisher.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket
        pings = chunk(4, b"\0\6" + bytes(4), channel=2) * 2000

        async def ask_on() -> None:
            while True:
                publisher.writer.write(pings)
                await publisher.writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(ask_on(), 1.5 * PATIENCE_S)
        await eventually(lambda: port.server.connections == 0)


async def test_a_wrong_key_is_refused_in_half_a_second() -> None:
    """From connecting to the reason, and nothing that came behind `publish` is looked at."""
    async with listening(LONG) as port:
        took = []
        for _ in range(3):
            publisher = await port.peer()
            began = time.monotonic()
            status = await publisher.publish("wrong")
            took.append(time.monotonic() - began)
            assert status["description"] == "Unknown stream key."
            publisher.send(9, keyframe(30))
            assert await closed_after(publisher) < AT_ONCE_S
        assert min(took) < 0.5
        assert port.stage.tags == []


async def test_a_refusal_can_be_read_however_much_is_on_its_way() -> None:
    """A cut encoder is in the middle of a keyframe: its connection is not reset over that, so that it reads why."""
    async with listening(msgspec.structs.replace(LONG, close_s=5)) as port:
        publisher = await publishing(port)
        publisher.send(9, keyframe(60_000), 0)
        await publishing(port)
        for n in range(100):
            publisher.send(9, keyframe(60_000), n)
            # A reset shows here, as on the encoder's side: it is still writing when it is cut.
            await publisher.writer.drain()
            await asyncio.sleep(0)
        assert "Another encoder" in str((await publisher.status())["description"])
        assert await publisher.reader.read(100) == b""
        publisher.send(9, keyframe(60_000), 100)
        await publisher.writer.drain()
        assert not publisher.writer.transport.is_closing()


async def test_wrong_keys_are_bounded_by_address() -> None:
    """After some, even the good one has to wait, is told how long, and costs no look-up; then it is taken."""
    clock = HandClock()
    async with listening(msgspec.structs.replace(LONG, bad_keys=Limit(3, 60)), clock=clock) as port:
        assert "missing" in await refusal(port, "")
        for _ in range(3):
            assert await refusal(port, "wrong") == "Unknown stream key."
        assert "try again in 60 s" in await refusal(port, "good")
        clock.advance(59)
        assert "try again in 1 s" in await refusal(port, "good")
        assert port.stage.asked == ["wrong"] * 3
        clock.advance(1)
        await publishing(port)


async def test_a_registry_that_is_away_is_no_wrong_key() -> None:
    """Whoever retries until it is back is not held up."""
    async with listening(msgspec.structs.replace(LONG, bad_keys=Limit(1, 60))) as port:
        port.stage.away = True
        assert "try again" in await refusal(port, "good")
        port.stage.away = False
        assert await publishing(port)


@pytest.mark.parametrize("limits", [{"connections": 2}, {"per_address": 2}], ids=["in-total", "by-address"])
async def test_one_connection_too_many(limits: dict[str, int]) -> None:
    """It is closed before it says anything; those that are there go on; room that is left is given again."""
    async with listening(msgspec.structs.replace(LONG, **limits)) as port:
        first, second = [await publishing(port), await port.peer()]
        third = await port.peer()
        assert await closed_after(third) < AT_ONCE_S
        second.writer.close()
        await eventually(lambda: port.server.connections == 1)
        first.send(8, AAC_HEADER)
        await eventually(lambda: len(port.stage.tags) == 1)


def refusals() -> float:
    """Encoders refused so far, as the metrics tell."""
    metric = next(iter(metrics.PUBLISH_REFUSED.collect()))
    return sum(each.value for each in metric.samples if each.name.endswith("_total"))


@pytest.fixture
async def encoder() -> AsyncIterator[tuple[Port, Publisher]]:
    """A port with small limits on what is sent, and an encoder that publishes there."""
    async with listening(msgspec.structs.replace(LONG, bit_rate=8e6, rate_s=1.0, messages=500)) as port:
        yield port, await publishing(port)


@pytest.mark.parametrize(
    ("media", "words"),
    [
        ([(9, AVC_HEADER, 0), *((9, keyframe(60_000), 40 * n) for n in range(30))], "this server takes 8"),
        ([(8, sound(6), 21 * n) for n in range(600)], "500 messages"),
        (
            [(9, AVC_HEADER, 0), (9, keyframe(50), 0), *((9, picture(50), 40 * n) for n in range(260))],
            "keyframe interval to 1 s",
        ),
        ([(9, b"\x90vp09cfg", 0)], "VP9"),
        ([(9, b"\x96\x00avc1", 0)], "one video track"),
        ([(8, b"\x90Opuscfg", 0)], "Opus"),
    ],
    ids=["bit-rate", "messages", "keyframes", "vp9", "multitrack", "opus"],
)
async def test_what_is_not_taken_is_told(
    encoder: tuple[Port, Publisher], media: list[tuple[int, bytes, int]], words: str
) -> None:
    """The encoder is cut with a description that says what to set, and the broadcast is left."""
    port, publisher = encoder
    before = refusals()
    for each in media:
        publisher.send(*each)
    status = await publisher.status()
    assert words in str(status["description"])
    assert refusals() == before + 1
    assert status["level"] == "error"
    assert await closed_after(publisher) < AT_ONCE_S
    await eventually(lambda: port.stage.publisher is None)


async def test_keyframes_far_apart_are_warned_of_and_taken() -> None:
    """Above 2 s the encoder is told once, and goes on publishing."""
    async with listening(LONG) as port:
        publisher = await publishing(port)
        publisher.send(9, AVC_HEADER)
        for n in range(200):
            publisher.send(9, keyframe(50) if n % 75 == 0 else picture(50), 40 * n)
        status = await publisher.status()
        assert (status["level"], status["code"]) == ("warning", "NetStream.Publish.Warning")
        assert "3.0 s apart" in str(status["description"])
        await eventually(lambda: len(port.stage.tags) == 201)
        assert port.stage.publisher is not None


async def test_enhanced_h264_arrives_in_its_own_form() -> None:
    """What is H.264 and AAC behind enhanced headers is published like any other."""
    async with listening(LONG) as port:
        publisher = await publishing(port)
        publisher.send(9, b"\x90avc1" + AVC_HEADER[5:])
        publisher.send(9, b"\x91avc1\0\0\0NAL", 40)
        publisher.send(8, b"\x90mp4a" + AAC_HEADER[2:], 41)
        await eventually(lambda: len(port.stage.tags) == 3)
        assert [AVC_HEADER, b"\x17\x01\0\0\0NAL", AAC_HEADER] == [tag.payload for tag in port.stage.tags]
