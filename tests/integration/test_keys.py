"""Stream keys and video states over the real records: what the media worker asks and tells."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from schemas import subjects
from schemas.items import Settings
from schemas.records import announcement, key_digest, new_stream_key
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.streams import new_stream, record_of
from workers.media.keys import Keys
from workers.media.streams import Authorised, KeyRefused, StreamChanged

pytestmark = pytest.mark.nats


@pytest.fixture(name="b")
async def _b(nats_server: NatsServer) -> AsyncIterator[Broker]:
    async with broker(nats_server.url) as connected:
        yield connected


def keys(b: Broker) -> Keys:
    """The registry of one media worker."""
    return Keys(b.records, b.feed, b.clock)


async def test_a_good_key_names_its_stream(b: Broker) -> None:
    """And carries the digest by which a rotation is seen."""
    key = await new_stream(b)

    assert Authorised(key.partition("_")[0], key_digest(key)) == await keys(b).authorise(key)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda key: key[:-1],
        lambda key: key + "x",
        lambda key: key.partition("_")[0] + "_",
        lambda _: new_stream_key(fresh_stream()),
        lambda key: key.upper(),
        lambda _: "",
        lambda _: "*_x",
        lambda key: key.partition("_")[0].replace("-", ".") + "_x",
        lambda key: key + "x" * 1000,
    ],
)
async def test_a_wrong_key_is_refused(b: Broker, wrong: Callable[[str], str]) -> None:
    """A wrong secret and an unknown stream read the same; nothing odd ever becomes part of a subject."""
    key = await new_stream(b)
    with pytest.raises(KeyRefused, match="Unknown stream key"):
        await keys(b).authorise(wrong(key))


async def test_an_ended_streams_key_is_refused(b: Broker) -> None:
    """With the reason, for who knows the key may know it."""
    with pytest.raises(KeyRefused, match="ended"):
        await keys(b).authorise(await new_stream(b, status="ended"))


async def test_publishing_starts_a_scheduled_stream(b: Broker) -> None:
    """It is live from then on, which its viewers are told; and it is started once."""
    key = await new_stream(b, status="scheduled")
    registry = keys(b)
    await registry.authorise(key)
    first = await record_of(b, key)
    await registry.authorise(key)
    assert (first.status, first.started_at is not None) == ("live", True)
    told = announcement(first, 7)
    assert isinstance(told, Settings)
    assert (told.status, told.revision) == ("live", 7)
    assert first == await record_of(b, key)


async def test_the_record_follows_the_video(b: Broker) -> None:
    """waiting, live, interrupted, live again; each change names the item that tells viewers; repeating tells nothing."""
    key = await new_stream(b)
    stream_id = key.partition("_")[0]
    registry = keys(b)
    await registry.video(stream_id, "interrupted", [])
    assert (await record_of(b, key)).video == "waiting"

    seen = []
    for state, qualities in [("live", ["720p"]), ("live", ["720p", "360p"]), ("interrupted", []), ("live", ["720p"])]:
        await registry.video(stream_id, state, qualities)  # type: ignore[arg-type]  # the four are states
        now = await record_of(b, key)
        seen.append((now.video, now.change, now.qualities))
    assert seen == [
        ("live", "live", ["720p"]),
        ("live", "", ["720p", "360p"]),
        ("interrupted", "interrupted", ["720p", "360p"]),
        ("live", "live", ["720p"]),
    ]
    before = await b.records.get(stream_id)
    await registry.video(stream_id, "live", ["720p"])
    assert before == await b.records.get(stream_id)


async def test_a_transition_is_told_once_whoever_writes_meanwhile(b: Broker) -> None:
    """Two workers and a creator write one record at the same moment: one `live`, one `interrupted`, on the live log."""
    key = await new_stream(b)
    stream_id = key.partition("_")[0]
    workers = [keys(b), keys(b)]

    async def title(text: str) -> None:
        await b.records.change(stream_id, lambda old: msgspec.structs.replace(old, title=text, change="settings"))

    for state in ("live", "interrupted"):
        tells = [each.video(stream_id, state, ["720p"]) for each in workers]
        await asyncio.gather(*tells, *(title(f"{state} {n}") for n in range(3)))
        await asyncio.gather(*(each.video(stream_id, state, ["720p"]) for each in workers))
    found = await b.reader.follow_from("LIVE_0", subjects.live(0, stream_id), 0)
    types = [msgspec.json.decode(each.payload)["type"] for each in found]
    assert (types.count("live"), types.count("interrupted"), types.count("settings")) == (1, 1, 6)


async def test_an_ended_stream_is_left_alone(b: Broker) -> None:
    """Neither it nor one that does not exist takes a state."""
    key = await new_stream(b, status="ended", video="ended")
    before = await record_of(b, key)
    await keys(b).video(before.stream_id, "live", ["720p"])
    await keys(b).video(fresh_stream(), "live", ["720p"])
    assert before == await record_of(b, key)


async def test_rotations_ends_and_deletions_are_seen(b: Broker) -> None:
    """Each stream once as it is, then what changes: a new key, an end, a deletion."""
    key = await new_stream(b, video="live")
    stream_id = key.partition("_")[0]
    registry = keys(b)
    changes = registry.watch()

    async def change() -> StreamChanged:
        async for each in changes:
            if each.stream_id == stream_id:
                return each
        raise AssertionError

    assert StreamChanged(stream_id, key_digest(key), ended=False) == await change()
    assert stream_id in await registry.live()

    await b.records.change(stream_id, lambda old: msgspec.structs.replace(old, key_sha256="00"))
    assert StreamChanged(stream_id, "00", ended=False) == await change()

    _, revision = await b.records.change(stream_id, lambda old: msgspec.structs.replace(old, status="ended"))
    assert StreamChanged(stream_id, "00", ended=True) == await change()
    assert stream_id not in await registry.live()

    await b.bucket("streams").delete(stream_id, revision)
    assert StreamChanged(stream_id, "", ended=True, deleted=True) == await change()
    await changes.aclose()
