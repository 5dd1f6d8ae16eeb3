"""The promises of `infra.stores.CommentStore` about pages, threads and ranges; a part of the contract."""

import asyncio
import random

from infra.stores import CommentStore
from schemas.items import Comment
from tests.contract.histories import END, Backend, S, fill, logged
from tests.factories import NOON_MS, comment, removed


class PagesContract:
    """Every implementation passes all of these."""

    async def test_ten_thousand_comments_page_by_cursor(self, store: CommentStore) -> None:
        """Both ways, every comment once, in order, across another stream's items between them."""
        await fill(store, 10_000)
        seen: list[int] = []
        before = END
        while page := await store.comments(S, after=0, before=before, descending=True, limit=199):
            seen += [item.seq for item in page]
            before = page[-1].seq
        assert seen == list(range(20_000, 0, -2))

        seen, after = [], 0
        while page := await store.comments(S, after=after, before=END, descending=False, limit=200):
            seen += [item.seq for item in page]
            after = page[-1].seq
        assert seen == list(range(2, 20_001, 2))
        passed = await store.comments(S, after=500, before=END, descending=False, limit=2, offset=600)
        assert [item.seq for item in passed] == [1702, 1704]
        assert await store.total(S) == 10_000

    async def test_any_page_of_any_stream(self, store: CommentStore) -> None:
        """Comments among other items, a sweep in a row, gaps, some erased, in any order: offsets, cursors, both ways."""
        chance = random.Random(5)
        kinds = ["comment"] * 1200 + ["removed"] * 1500 + ["comment"] * 1200
        seqs = sorted(chance.sample(range(1, 70_000), len(kinds)))
        items = [
            logged(comment(n) if kind == "comment" and chance.random() < 0.9 else removed(n // 2), seq)
            for n, (kind, seq) in enumerate(zip(kinds, seqs, strict=True), start=1)
        ]
        comments = {item.seq for item in items if isinstance(item.item, Comment)}
        gone = chance.sample(sorted(comments), 60)
        chance.shuffle(items)
        await store.write(items[:2500], {})
        await store.erase(S, gone, NOON_MS + 10**6)
        await store.write(items[2000:], {})
        left = sorted(comments - set(gone))
        for _ in range(150):
            after, before = sorted((chance.choice([0, *seqs]), chance.choice([END, *seqs])))
            offset, limit = chance.choice((0, 0, 3, 150, 400, 1000, 1900, 3000)), chance.randint(1, 60)
            descending = chance.random() < 0.5
            page = await store.comments(S, after=after, before=before, descending=descending, limit=limit, offset=offset)
            wanted = [seq for seq in left if after < seq < before][:: -1 if descending else 1]
            asked = (after, before, descending, limit, offset)
            assert [item.seq for item in page] == wanted[offset : offset + limit], asked

    async def test_pages_hold_while_comments_are_written(self, backend: Backend, store: CommentStore) -> None:
        """A reader with a cursor neither repeats nor skips while another process's handle writes newer comments."""
        writer = await backend.open()
        await writer.write([logged(comment(n), n) for n in range(1, 301)], {})

        async def keep_writing() -> None:
            for n in range(301, 501):
                await writer.write([logged(comment(n), n)], {})

        writing = asyncio.create_task(keep_writing())
        seen: list[int] = []
        before = 301
        while page := await store.comments(S, after=0, before=before, descending=True, limit=7):
            seen += [item.seq for item in page]
            before = page[-1].seq
        await writing

        assert seen == list(range(300, 0, -1))
        assert await store.tail(S) == 500

    async def test_ranges_have_open_and_closed_ends(self, store: CommentStore) -> None:
        """`after` and `before` are outside, `until` is inside, limits cut at the near end."""
        await store.write([logged(comment(n), n) for n in range(1, 11)], {})

        async def page(**bounds: int | bool) -> list[int]:
            question: dict[str, object] = {"after": 0, "before": END, "descending": False, "limit": 50, **bounds}
            return [item.seq for item in await store.comments(S, **question)]  # type: ignore[arg-type]  # as named above

        assert [item.seq for item in await store.range(S, 2, 5, 10)] == [3, 4, 5]
        assert [item.seq for item in await store.range(S, 2, 9, 3)] == [3, 4, 5]
        assert [item.seq for item in await store.newest(S, 5, 3)] == [4, 3, 2]
        assert await page(after=2, before=6) == [3, 4, 5]
        assert await page(offset=7) == [8, 9, 10]
        assert await page(offset=7, descending=True) == [3, 2, 1]
        assert await page(limit=2, offset=1, descending=True) == [9, 8]
        assert await page(offset=10_000) == []
        assert await page(before=2**63 + 5) == list(range(1, 11))

    async def test_times_bound_a_page(self, store: CommentStore) -> None:
        """`from` is inside, `to` is outside; also where the log's clock stepped back between two comments."""
        minutes = (0, 1, 2, 7, 3, 4, 10)
        await store.write([logged(comment(n), n, at_ms=NOON_MS + m * 60_000) for n, m in enumerate(minutes, start=1)], {})

        async def between(first: int | None, last: int | None) -> list[int]:
            page = await store.comments(
                S,
                after=0,
                before=END,
                descending=False,
                limit=50,
                from_ms=None if first is None else NOON_MS + first * 60_000,
                to_ms=None if last is None else NOON_MS + last * 60_000,
            )
            return [item.seq for item in page]

        assert await between(2, 4) == [3, 5]
        assert await between(4, None) == [4, 6, 7]
        assert await between(None, 2) == [1, 2]
        assert await between(7, 8) == [4]
        assert await between(20, None) == []
        assert await between(5, 5) == []

    async def test_replies_are_a_thread(self, store: CommentStore) -> None:
        """A comment's replies in order; a removed parent keeps them, a removed reply says so."""
        items = [logged(comment(1), 1), *(logged(comment(n, parent="1"), n) for n in range(2, 6))]
        await store.write([*items, logged(comment(9), 9), logged(removed(1), 20), logged(removed(3), 21)], {})

        thread = await store.replies(S, "1", 0, 3)
        assert [(item.seq, item.removed) for item in thread] == [(2, None), (3, "moderator"), (4, None)]
        assert [item.seq for item in await store.replies(S, "1", thread[-1].seq, 3)] == [5]

    async def test_a_hundred_thousand_comments(self, store: CommentStore) -> None:
        """First, middle and last page, both ways, by offset and by time; one in fifty is removed, and the total is exact."""
        size = 100_000
        for start in range(1, size + 1, 5000):
            some = [logged(comment(n), n) for n in range(start, start + 5000)]
            gone = [logged(removed(n), size + n) for n in range(start, start + 5000) if n % 50 == 0]
            await store.write(some + gone, {})

        async def page(**bounds: int | bool) -> list[int]:
            question: dict[str, object] = {"after": 0, "before": END, "descending": False, "limit": 3, **bounds}
            return [item.seq for item in await store.comments(S, **question)]  # type: ignore[arg-type]  # as named above

        assert await store.total(S) == 98_000
        assert await page() == [1, 2, 3]
        assert await page(descending=True) == [100_000, 99_999, 99_998]
        assert await page(after=65_534) == [65_535, 65_536, 65_537]
        assert await page(before=65_537, descending=True) == [65_536, 65_535, 65_534]
        assert await page(after=99_999) == [100_000]
        assert await page(offset=10_000) == [10_001, 10_002, 10_003]
        assert await page(offset=10_000, descending=True, before=80_001) == [70_000, 69_999, 69_998]
        assert await page(from_ms=NOON_MS + 70_000, to_ms=NOON_MS + 70_002) == [70_000, 70_001]
        assert await page(from_ms=NOON_MS + 70_000, offset=2) == [70_002, 70_003, 70_004]
