"""The promises of `infra.stores.CommentStore` about what is erased for good; a part of the contract."""

import random

from msgspec import structs

from infra.stores import CommentStore
from tests.contract.histories import END, LOG, Backend, S, answers, by_msg_id, everything, logged, restored
from tests.contract.people import everything_of
from tests.contract.replays import shuffled, whole_log
from tests.factories import NOON_MS, comment, removed

#: Later than all that is logged here.
NOW_MS = NOON_MS + 3_600_000


class ErasuresContract:
    """Every implementation passes all of these."""

    async def test_what_is_erased_is_gone_and_its_place_is_known(self, backend: Backend, store: CommentStore) -> None:
        """No page, lookup, thread or person has it; the total is less, the tail is not; what has its id is removed."""
        items = [logged(comment(n, parent="1" if n > 6 else None), n, key=f"k{n}") for n in range(1, 9)]
        await store.write([*items, logged(removed(3), 20)], {LOG: 20})
        await store.erase(S, {3, 4, 8, 20}, NOW_MS)

        assert [each.seq for each in await store.range(S, 0, END, 20)] == [1, 2, 5, 6, 7]
        assert [each.seq for each in await store.newest(S, END, 2)] == [7, 6]
        assert await everything(store) == [(n, None) for n in (1, 2, 5, 6, 7)]
        assert [await store.comment(S, str(n)) for n in (3, 4, 8)] == [None] * 3
        assert [await by_msg_id(store, S, f"k{n}") for n in (3, 4, 8)] == [None] * 3
        assert [each.seq for each in await store.replies(S, "1", 0, 9)] == [7]
        assert await everything_of(backend.people(), "ada", 3) == [(S, n) for n in (7, 6, 5, 2, 1)]
        assert (await store.total(S), await store.tail(S)) == (5, 20)
        assert await store.erased(S, 0, END, 10) == [3, 4, 8, 20]
        assert await store.erased(S, 3, 8, 1) == [4]
        await store.write([logged(comment(n), 30 + n) for n in (3, 4, 8)], {})
        assert (await everything(store))[-3:] == [(33, "moderator"), (34, "purged"), (38, "purged")]

    async def test_nothing_of_it_is_left_in_any_table(self, backend: Backend, store: CommentStore) -> None:
        """Not the words, not the key, not the author's name: no row of any table has them, and the author is listed nowhere."""
        said = comment(5, author="a-person", text="a-secret")
        await store.write([logged(said, 5, key="a-key"), logged(comment(6), 6)], {})
        words, held = ("a-person", "a-secret", "a-key"), str(await backend.rows())
        assert [word for word in words if word in held] == list(words)
        await store.erase(S, [5], NOW_MS)

        left = str(await backend.rows())
        assert [word for word in words if word in left] == []
        assert await backend.people().said("a-person", None, 5) == []

    async def test_no_replay_brings_it_back(self, backend: Backend, store: CommentStore) -> None:
        """Half of a log is erased; then all of it is written three times in random order: every row of every table stays."""
        chance = random.Random(10)
        log = whole_log(chance, 200)
        await store.write(log, {LOG: 200})
        gone = set(chance.sample(range(1, 201), 100))
        await store.erase(S, gone, NOW_MS)
        rows, told = await backend.rows(), await answers(store)
        for _ in range(3):
            await shuffled(chance, store, log)
            assert await answers(store) == told
            assert await backend.rows() == rows
        erased = await store.erased(S, 0, END, 500)
        assert gone <= set(erased)
        assert {each.seq for each in await store.range(S, 0, END, 500)} == set(range(1, 201)) - set(erased)

    async def test_what_is_erased_before_it_comes_never_comes(self, backend: Backend, store: CommentStore) -> None:
        """A store that is filled anew from a log whose items were erased meanwhile: nothing of them gets in."""
        await store.erase(S, [2, 3], NOW_MS)
        await store.write([logged(comment(n, author=f"person-{n}"), n, key=f"k{n}") for n in range(1, 5)], {})

        assert await everything(store) == [(1, None), (4, None)]
        assert (await store.total(S), await store.erased(S, 0, END, 9)) == (2, [2, 3])
        left = str(await backend.rows())
        assert [n for n in range(1, 5) if f"person-{n}" in left] == [1, 4]
        assert await backend.people().said("person-2", None, 9) == []

    async def test_a_restore_of_what_never_came_never_comes(self, backend: Backend) -> None:
        """Erased by its seq alone, before anybody knew what was there: its restore, first or last to come, goes with it."""
        items = [logged(comment(7), 1), logged(removed(7), 2), logged(restored(7), 3)]
        items[2] = structs.replace(items[2], msg_id="a-key")
        for order in ([0], [1], [2]), ([2], [1], [0]), ([0, 1, 2],):
            fresh = await backend.anew()
            await fresh.erase(S, [1], NOW_MS)
            for some in order:
                await fresh.write([items[place] for place in some], {})

            assert [each.seq for each in await fresh.range(S, 0, END, 9)] == [2], order
            assert await fresh.erased(S, 0, END, 9) == [1, 3], order
            left = str(await backend.rows())
            assert [word for word in ("comment 7", "a-key") if word in left] == [], order
            await fresh.write([logged(comment(7), 9)], {})
            [(_, reason)] = await everything(fresh)
            assert reason in ("moderator", "purged"), order

    async def test_a_restore_of_it_is_erased_with_it(self, backend: Backend, store: CommentStore) -> None:
        """A restore carries the whole comment: the one that is there goes too, and the one that comes later stays out."""
        await store.write([logged(comment(7), 1), logged(removed(7), 2), logged(restored(7), 3)], {})
        await store.erase(S, [1], NOW_MS)
        await store.write([logged(restored(7), 4, at_ms=NOW_MS + 9_000), logged(comment(8), 5)], {})

        assert [each.seq for each in await store.range(S, 0, END, 9)] == [2, 5]
        assert await store.erased(S, 0, END, 9) == [1, 3, 4]
        assert "comment 7" not in str(await backend.rows())
        await store.write([logged(comment(7), 9)], {})
        assert (await store.total(S), await everything(store)) == (1, [(5, None), (9, "purged")])

    async def test_what_the_log_takes_there_later_is_another_item(self, backend: Backend, store: CommentStore) -> None:
        """A log that lost its last second gives an erased seq again: the new message is stored, the old one stays away."""
        old, new = logged(comment(1), 1, key="old"), logged(comment(2, author="bob"), 1, key="new", at_ms=NOW_MS + 5_000)
        await store.write([old], {})
        await store.erase(S, [1], NOW_MS)
        await store.write([new], {})
        await store.write([old], {})

        found = await store.comment(S, "2")
        assert found is not None
        assert found.payload == new.payload
        assert await by_msg_id(store, S, "old") is None
        assert (await store.erased(S, 0, END, 9), await store.total(S)) == ([], 1)
        assert [each.seq for each in await backend.people().said_in(S, "bob", END, 9)] == [1]

    async def test_erasing_again_changes_nothing(self, backend: Backend, store: CommentStore) -> None:
        """The same seqs, some of them, others that nobody knows: what is erased is erased."""
        await store.write([logged(comment(n), n) for n in range(1, 6)], {})
        await store.erase(S, [2, 4], NOW_MS)
        rows = await backend.rows()
        await store.erase(S, [2], NOW_MS)
        await store.erase(S, [4], NOW_MS - 3_000_000)

        assert await backend.rows() == rows
        assert await everything(store) == [(1, None), (3, None), (5, None)]
