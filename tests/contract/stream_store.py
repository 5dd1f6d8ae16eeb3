"""The promises of `infra.stores.StreamStore`, for any implementation."""

import itertools

from msgspec import structs

from infra.stores import StreamStore
from schemas.items import StreamSettings
from schemas.records import Broadcaster, Recorded, Status, StreamRecord
from tests.factories import NOON_MS


def record(number: int, title: str = "A stream", status: Status = "live", creator: str = "ada") -> StreamRecord:
    """A record whose id sorts by *number*."""
    return StreamRecord(
        stream_id=f"018bcfe5-6800-7bb6-bc13-{number:012d}",
        broadcaster=Broadcaster(id=creator, name="Ada 👩‍💻"),
        title=title,
        status=status,
        key_sha256="0" * 64,
        settings=StreamSettings(slow_mode_s=3, banned_words=["a", "ü\u0301"]),
        qualities=["720p"],
        created_at=NOON_MS,
    )


class StreamStoreContract:
    """Every implementation passes all of these; it gives the fixture `streams`, an empty store."""

    async def test_a_record_comes_back_as_it_was(self, streams: StreamStore) -> None:
        """Every field, and nothing for a stream nobody knows."""
        await streams.put(record(1), 10)

        assert await streams.get(record(1).stream_id) == record(1)
        assert await streams.get(record(2).stream_id) is None

    async def test_a_record_that_is_removed(self, streams: StreamStore) -> None:
        """It is nowhere any more, and no older revision that comes later brings it back; others stay."""
        gone = structs.replace(record(1), recording=Recorded(recording_id="r", duration_ms=1, size_bytes=1, created_at=NOON_MS))
        for each in (gone, record(2)):
            await streams.put(each, 10)
        await streams.put_reactions(gone.stream_id, {"like": 3})
        for _ in range(2):
            await streams.remove(record(1).stream_id, 11)
            await streams.put(gone, 10)
            assert await streams.by_creator("ada", before=None, limit=10) == [record(2)]
            assert await streams.recorded(before=None, limit=10) == []
            assert await streams.reactions(gone.stream_id) == {}
            assert await streams.get(record(1).stream_id) is None
            for status in (None, "live"):
                assert await streams.page(status=status, before=None, limit=10) == [record(2)]
        await streams.remove(record(3).stream_id, 11)
        await streams.put(record(3), 10)
        assert await streams.get(record(3).stream_id) is None

    async def test_the_highest_revision_holds(self, streams: StreamStore) -> None:
        """In whatever order and however often they come."""
        orders = list(itertools.permutations((1, 2, 3)))
        for number, order in enumerate(orders):
            for revision in (*order, *order):
                await streams.put(record(number, f"title {revision}", "ended" if revision == 3 else "live"), revision)
            found = await streams.get(record(number).stream_id)

            assert found is not None
            assert found.title == "title 3", order
        assert await streams.page(status="live", before=None, limit=10) == []
        assert len(await streams.page(status="ended", before=None, limit=10)) == len(orders)

    async def test_pages_are_newest_first(self, streams: StreamStore) -> None:
        """By status or all of them, each once, by cursor."""
        for n in range(1, 8):
            await streams.put(record(n, status="live" if n % 2 else "ended"), n)

        async def pages(status: str | None) -> list[int]:
            found: list[int] = []
            before: str | None = None
            while page := await streams.page(status=status, before=before, limit=2):
                assert len(page) <= 2
                found += [int(each.stream_id[-4:]) for each in page]
                before = page[-1].stream_id
            return found

        assert await pages(None) == [7, 6, 5, 4, 3, 2, 1]
        assert await pages("live") == [7, 5, 3, 1]
        assert await pages("ended") == [6, 4, 2]
        assert await pages("scheduled") == []

    async def test_a_creators_streams(self, streams: StreamStore) -> None:
        """Newest first, a page at a time, each once however often it changed, as it is now; nobody else's are among them."""
        for revision, n in enumerate([*range(1, 10), 3, 5], start=1):
            await streams.put(record(n, f"title {revision}", creator=("ada", "e\u0301", "é")[n % 3]), revision)

        async def of(creator: str) -> list[tuple[int, str]]:
            found: list[tuple[int, str]] = []
            before: str | None = None
            while page := await streams.by_creator(creator, before=before, limit=2):
                assert len(page) <= 2
                found += [(int(each.stream_id[-4:]), each.title) for each in page]
                before = page[-1].stream_id
            return found

        assert await of("ada") == [(9, "title 9"), (6, "title 6"), (3, "title 10")]
        assert await of("e\u0301") == [(7, "title 7"), (4, "title 4"), (1, "title 1")]
        assert await of("é") == [(8, "title 8"), (5, "title 11"), (2, "title 2")]
        assert await of("nobody") == []

    async def test_streams_that_have_a_recording(self, streams: StreamStore) -> None:
        """From the revision that says so until one that says otherwise, in whatever order they come; newest first, by pages."""
        made = Recorded(recording_id="r", duration_ms=1000, size_bytes=9, created_at=NOON_MS)
        for n in range(1, 8):
            revisions = [(record(n), 10 * n), (structs.replace(record(n), recording=made), 10 * n + 1)]
            if n == 4:
                revisions.append((record(n), 10 * n + 2))
            for each, revision in revisions[:: 1 if n % 2 else -1]:
                await streams.put(each, revision)
        await streams.put(record(9), 90)

        first = await streams.recorded(before=None, limit=4)
        second = await streams.recorded(before=first[-1].stream_id, limit=4)
        assert [int(each.stream_id[-4:]) for each in (*first, *second)] == [7, 6, 5, 3, 2, 1]
        assert {each.recording for each in first} == {made}

    async def test_reactions_only_grow(self, streams: StreamStore) -> None:
        """Of what was written for each type the greatest, in whatever order and however often; by stream."""
        one, two = record(1).stream_id, record(2).stream_id
        for likes, loves in ((3, 0), (7, 2), (5, 2), (7, 1)):
            await streams.put_reactions(one, {"like": likes, "love": loves, "wow": 0})
        await streams.put_reactions(two, {"sad": 1})

        assert (await streams.reactions(one), await streams.reactions(two)) == ({"like": 7, "love": 2}, {"sad": 1})
        assert await streams.reactions(record(3).stream_id) == {}
