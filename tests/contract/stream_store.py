"""The promises of `infra.stores.StreamStore`, for any implementation."""

import itertools

from infra.stores import StreamStore
from schemas.items import StreamSettings
from schemas.records import Broadcaster, Status, StreamRecord
from tests.factories import NOON_MS


def record(number: int, title: str = "A stream", status: Status = "live") -> StreamRecord:
    """A record whose id sorts by *number*."""
    return StreamRecord(
        stream_id=f"018bcfe5-6800-7bb6-bc13-{number:012d}",
        broadcaster=Broadcaster(id="ada", name="Ada 👩‍💻"),
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
        for number in (1, 2):
            await streams.put(record(number), 10)
        for _ in range(2):
            await streams.remove(record(1).stream_id, 11)
            await streams.put(record(1), 10)
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
