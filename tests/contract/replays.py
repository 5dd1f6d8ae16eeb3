"""The promises of `infra.stores.CommentStore` about logs that come again; a part of the contract."""

import random
from collections.abc import Sequence

from infra.stores import CommentStore, LoggedItem
from schemas.items import Highlighted, Item, Live, Pinned, Unpinned
from tests.contract.histories import LOG, Backend, everything, logged, random_item, replayed
from tests.factories import comment, removed

#: What people and machines call themselves and each other; none of them may be folded, trimmed or cut.
NAMES = ("ada", "bob", "eve", "é", "e\u0301", "\u202egnol", "x\0y", "👩‍👩‍👧‍👦", " ada ", "%_", "a" * 300)


def whole_log(chance: random.Random, size: int) -> list[LoggedItem]:
    """A stream's log of *size* items of every kind: threads, removals before their comments, names that are hard to keep."""
    found: list[LoggedItem] = []
    for seq in range(1, size + 1):
        item: Item = random_item(chance, seq)
        if chance.random() < 0.3:
            parent = str(chance.randint(1, 60)) if chance.random() < 0.5 else None
            item = comment(10_000 + seq, author=chance.choice(NAMES), parent=parent, text=chance.choice(NAMES))
        elif chance.random() < 0.1:
            target = str(chance.randint(1, 60))
            item = chance.choice((Pinned(comment_id=target, by="x"), Unpinned(comment_id=target, by="x")))
        elif chance.random() < 0.05:
            item = chance.choice((Highlighted(comment_id="1", by="x"), Live(revision=seq)))
        found.append(logged(item, seq, key=f"k{seq}" if chance.random() < 0.8 else None))
    return found


class ReplaysContract:
    """Every implementation passes all of these."""

    async def test_a_log_replayed_three_times_gives_the_same_bytes(self, backend: Backend, store: CommentStore) -> None:
        """In random order, in random batches, onto what is there: every row of every table is what it was, to the byte."""
        chance = random.Random(6)
        log = whole_log(chance, 300)
        await store.write(log, {LOG: 300})
        first = await backend.rows()
        assert sum(map(len, first.values())) > len(log)
        for _ in range(3):
            await shuffled(chance, store, log)
            assert await backend.rows() == first

    async def test_three_stores_filled_in_random_order_are_the_same_bytes(self, backend: Backend, store: CommentStore) -> None:
        """From nothing, each in another order: the rows are those of a store that was filled in the log's own."""
        chance = random.Random(7)
        log = whole_log(chance, 300)
        await store.write(log, {LOG: 300})
        first = await backend.rows()
        for _ in range(3):
            anew = await backend.anew()
            await shuffled(chance, anew, log)
            assert await backend.rows() == first

    async def test_a_writer_killed_before_it_acknowledged(self, backend: Backend, store: CommentStore) -> None:
        """All of it is written, and nobody was told: the log offers it again, in other batches, and nothing is there twice."""
        batch = [logged(comment(n), n, key=f"k{n}") for n in range(1, 300)] + [logged(removed(1), 300)]
        await backend.kill_after_writing(batch, 300)
        assert await store.archived_through(LOG) == 300
        before = await backend.rows()
        await shuffled(random.Random(8), store, batch)

        assert await backend.rows() == before
        assert await everything(store) == replayed(batch)
        assert await store.total(batch[0].stream_id) == 298


async def shuffled(chance: random.Random, store: CommentStore, log: Sequence[LoggedItem]) -> None:
    """Write *log* in random order and batches, a quarter of it twice."""
    items = [*log, *chance.sample(log, len(log) // 4)]
    chance.shuffle(items)
    while items:
        size = chance.randint(1, 60)
        await store.write(items[:size], {})
        del items[:size]
    await store.write([], {LOG: len(log)})
