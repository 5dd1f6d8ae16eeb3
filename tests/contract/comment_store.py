"""The promises of `infra.stores.CommentStore`, for any implementation.

An implementation gives a `Backend` and subclasses `CommentStoreContract` with a `backend` fixture; nothing in here
knows which one it is.
"""

import asyncio
import itertools
import random
import time

import pytest

from infra.stores import CommentStore, StoredItem
from schemas.items import Item, Pinned, Purged, Removed
from tests.contract.erasures import ErasuresContract
from tests.contract.histories import (
    END,
    LOG,
    OTHER,
    Backend,
    S,
    answers,
    by_msg_id,
    everything,
    logged,
    numbered,
    random_item,
    replayed,
    restored,
)
from tests.contract.pages import PagesContract
from tests.contract.people import PeopleContract
from tests.contract.replays import ReplaysContract
from tests.factories import NOON_MS, comment, removed


class CommentStoreContract(PagesContract, ReplaysContract, PeopleContract, ErasuresContract):
    """Every implementation passes all of these."""

    @pytest.fixture
    async def store(self, backend: Backend) -> CommentStore:
        """A handle on an empty store."""
        return await backend.open()

    async def test_an_empty_store_answers(self, store: CommentStore) -> None:
        """A stream nobody knows has no items, a total of 0 and no tail; that is no error."""
        assert await answers(store) == ([], [], 0, 0)
        assert await store.newest(S, END, 10) == []
        assert await store.replies(S, "1", 0, 10) == []
        assert await store.comment(S, "1") is None
        assert await by_msg_id(store, S, "k") is None
        assert await store.archived_through(LOG) == 0

    async def test_a_stream_that_is_forgotten(self, backend: Backend, store: CommentStore) -> None:
        """Nothing of it is left; other streams keep theirs, and so do the watermarks."""
        theirs = [logged(comment(1), 10, key="k1"), logged(removed(1), 11), logged(removed(9), 12), logged(comment(2), 70_000)]
        theirs.append(logged(Purged(user_id="ada"), 70_001))
        others = [logged(comment(n), n, stream_id=OTHER) for n in (20, 21)]
        await store.write([*theirs, *others], {LOG: 70_001})
        await store.erase(S, [70_000], NOON_MS + 86_400_000)
        for _ in range(2):
            await store.forget(S, NOON_MS + 86_400_000)
            assert await store.erased(S, 0, END, 10) == []
            assert await backend.moderation().decisions(S, END, 10) == []
            assert await backend.people().said_in(S, "ada", END, 10) == []
            assert {each.stream_id for each in await backend.people().said("ada", None, 10)} == {OTHER}
            assert await answers(store) == ([], [], 0, 0)
            assert await store.comment(S, "1") is None
            assert await by_msg_id(store, S, "k1") is None
        assert [item.seq for item in await store.range(OTHER, 0, END, 10)] == [20, 21]
        assert await store.total(OTHER) == 2
        assert await store.archived_through(LOG) == 70_001

    async def test_what_comes_after_a_stream_was_forgotten(self, store: CommentStore) -> None:
        """It is stored, and nothing that was decided or erased before concerns it, be it that it came too early."""
        then, soon = (time.time_ns() // 1_000_000 + after_ms for after_ms in (-60_000, 60_000))
        before: list[Item] = [comment(2), Purged(user_id="ada"), removed(9)]
        await store.write([logged(item, 100 + n, at_ms=then) for n, item in enumerate(before)], {})
        await store.erase(S, [100], then)
        await store.forget(S, then)
        await store.write([logged(comment(n), n, at_ms=soon) for n in (2, 9)], {})
        # Far from all that was deleted with the stream.
        await store.write([logged(comment(n), END // 2 + n, at_ms=soon) for n in (2, 9)], {})

        assert await everything(store) == [(n, None) for n in (2, 9, END // 2 + 2, END // 2 + 9)]

    async def test_what_was_written_is_read_as_it_was(self, store: CommentStore) -> None:
        """Payload, time, seq and key come back to the byte; other items than comments are items too."""
        first, second = logged(comment(1), 10, key="k1"), logged(Pinned(comment_id="1", by="ada"), 11)
        await store.write([first, second], {LOG: 11})

        assert await store.range(S, 0, END, 10) == [
            StoredItem(stream_id=S, seq=10, at_ms=first.at_ms, payload=first.payload, msg_id="k1"),
            StoredItem(stream_id=S, seq=11, at_ms=second.at_ms, payload=second.payload),
        ]
        assert await everything(store) == [(10, None)]
        assert (await store.total(S), await store.archived_through(LOG)) == (1, 11)

    async def test_a_batch_written_again_changes_nothing(self, store: CommentStore) -> None:
        """Redelivery: the same batch, whole and in part, any number of times."""
        batch = [logged(comment(n), n, key=f"k{n}") for n in range(1, 6)] + [logged(removed(2), 6)]
        await store.write(batch, {LOG: 6})
        once = await answers(store)
        for again in (batch, batch[2:4], batch[::-1], batch):
            await store.write(again, {})

        assert await answers(store) == once
        assert await store.total(S) == 4

    async def test_order_does_not_matter(self, store: CommentStore) -> None:
        """Comment, removal, restore, second removal: in each of 24 orders the last one by seq holds."""
        items = (comment(1), removed(1), restored(1), Removed(comment_id="1", reason="creator"))
        for number, order in enumerate(itertools.permutations(range(4))):
            stream_id = numbered(number)
            for place in order:
                await store.write([logged(items[place], place + 1, stream_id=stream_id)], {})

            assert await everything(store, stream_id) == [(1, "creator")], order
            assert await store.total(stream_id) == 0, order

    async def test_a_comment_after_its_removal_stays_removed(self, store: CommentStore) -> None:
        """The removal arrived first; the comment, whenever it comes and however often, is removed."""
        await store.write([logged(removed(7), 9)], {})
        for _ in range(2):
            await store.write([logged(comment(7), 3)], {})
            assert await everything(store) == [(3, "moderator")]
        assert await store.total(S) == 0

    async def test_a_restore_undoes_what_came_before_it(self, store: CommentStore) -> None:
        """A restored comment is visible and counted again, and an older removal that comes late changes nothing."""
        await store.write([logged(comment(1), 1), logged(removed(1), 5)], {})
        await store.write([logged(restored(1), 8)], {})
        await store.write([logged(removed(1), 6)], {})

        assert await everything(store) == [(1, None)]
        assert await store.total(S) == 1

    async def test_a_purge_takes_all_of_a_user_before_it(self, store: CommentStore) -> None:
        """Before or after the purge was written: what the user said earlier is gone, what they say later is not."""
        bad = [logged(comment(n, author="bad"), n) for n in (1, 3, 5, 9)]
        await store.write([bad[0], bad[1], logged(comment(2), 2)], {})
        await store.write([logged(Purged(user_id="bad"), 7)], {})
        await store.write([bad[2], bad[3], logged(comment(4, author="bad"), 4, stream_id=OTHER)], {})

        assert await everything(store) == [(1, "purged"), (2, None), (3, "purged"), (5, "purged"), (9, None)]
        assert await store.total(S) == 2
        assert await store.total(OTHER) == 1

    async def test_of_a_purge_and_a_restore_the_later_holds(self, store: CommentStore) -> None:
        """A moderator who brings one comment back after a purge means it; a purge after that takes it again."""
        await store.write([logged(restored(1), 8), logged(Purged(user_id="ada"), 7), logged(comment(1), 1)], {})
        assert await everything(store) == [(1, None)]
        await store.write([logged(Purged(user_id="ada"), 9)], {})
        assert await everything(store) == [(1, "purged")]

    async def test_any_history_in_any_order_reads_the_same(self, store: CommentStore) -> None:
        """200 random events, shuffled, cut into random batches, a third repeated: the rows a plain replay gives; 12 times."""
        for seed in range(12):
            chance, stream_id = random.Random(seed), numbered(seed)
            history = [logged(random_item(chance, seq), seq, stream_id=stream_id) for seq in range(1, 201)]
            shuffled = history + chance.sample(history, 66)
            chance.shuffle(shuffled)
            while shuffled:
                size = chance.randint(1, 30)
                await store.write(shuffled[:size], {})
                del shuffled[:size]

            assert await everything(store, stream_id) == replayed(history), f"seed {seed}"
            assert await store.total(stream_id) == sum(reason is None for _, reason in replayed(history)), f"seed {seed}"
            assert [item.seq for item in await store.range(stream_id, 0, END, 500)] == list(range(1, 201)), f"seed {seed}"

    async def test_the_watermark_never_moves_back(self, store: CommentStore) -> None:
        """Whatever is written later with a lower one, also of another log."""
        await store.write([], {LOG: 50, "LIVE_1": 7})
        await store.write([logged(comment(1), 1)], {LOG: 40})

        assert await store.archived_through(LOG) == 50
        assert await store.archived_through("LIVE_1") == 7

    async def test_streams_share_nothing(self, store: CommentStore) -> None:
        """The same ids, keys and users in another stream are other comments."""
        await store.write([logged(comment(1), 1, key="k"), logged(comment(1), 2, stream_id=OTHER, key="k")], {})
        await store.write([logged(removed(1), 3)], {})
        mine, theirs = await by_msg_id(store, S, "k"), await store.comment(OTHER, "1")

        assert (mine and mine.seq, theirs and theirs.seq) == (1, 2)
        assert await everything(store, OTHER) == [(2, None)]

    async def test_a_key_finds_its_comment(self, store: CommentStore) -> None:
        """However many attempts there were; should the log have taken a key twice, the first comment answers."""
        await store.write([logged(comment(2), 20, key="same")], {})
        await store.write([logged(comment(1), 10, key="same"), logged(comment(3), 30)], {})
        found = await by_msg_id(store, S, "same")

        assert found is not None
        assert found.seq == 10
        assert await by_msg_id(store, S, "none") is None

    async def test_many_keys_find_their_comments(self, store: CommentStore) -> None:
        """Of several streams, known and unknown, some asked twice: each its own, and nothing for those that are not there."""
        items = [logged(comment(n), n, stream_id=stream, key=f"k{n}") for stream in (S, OTHER) for n in range(1, 41)]
        await store.write(items, {})
        asked = [(stream, f"k{n}") for n in range(60) for stream in (S, S, OTHER, "nobody's")]
        found = await store.by_msg_ids(asked)

        assert {(stream, f"k{n}"): n for stream in (S, OTHER) for n in range(1, 41)} == {
            each: item.seq for each, item in found.items()
        }
        assert all((item.stream_id, item.msg_id) == each for each, item in found.items())
        assert await store.by_msg_ids([]) == {}

    async def test_unicode_comes_back(self, store: CommentStore) -> None:
        """Every plane, combining marks, joiners, right-to-left, NUL and 500 four-byte characters."""
        texts = [
            "👩‍👩‍👧‍👦",
            "a\u0301\u0327",
            "\u202eabc",
            "x\0y",
            "\U0001f600" * 500,
            "'; DROP TABLE items; --",
            "\ufffe\U0010ffff",
        ]
        items = [logged(comment(n, text=text, author=text), n + 1, key=text) for n, text in enumerate(texts)]
        await store.write(items, {})
        await store.write([logged(Purged(user_id=texts[3]), 50)], {})

        read = await store.comments(S, after=0, before=END, descending=False, limit=50)
        assert [item.payload for item in items] == [item.payload for item in read]
        assert [item.removed for item in read] == [None, None, None, "purged", None, None, None]
        for item, text in zip(items, texts, strict=True):
            found = await by_msg_id(store, S, text)
            assert found is not None
            assert found.seq == item.seq

    async def test_a_write_is_read_at_once_by_everybody(self, backend: Backend, store: CommentStore) -> None:
        """What was acknowledged before a read began is in it, on every handle."""
        writer = await backend.open()
        for n in range(1, 50):
            await writer.write([logged(comment(n), n)], {LOG: n})
            assert (await store.tail(S), await store.total(S), await store.archived_through(LOG)) == (n, n, n)

    async def test_a_replaced_message_replaces_its_row(self, store: CommentStore) -> None:
        """A log server that lost its last second gives a seq again: what the log has now is what the store has."""
        await store.write([logged(comment(1), 1, key="old"), logged(removed(5), 2)], {})
        later = NOON_MS + 5_000
        again = [logged(Pinned(comment_id="1", by="x"), 1, at_ms=later), logged(comment(6), 2, key="new", at_ms=later)]
        await store.write(again, {})

        assert await everything(store) == [(2, None)]
        assert await store.total(S) == 1
        assert await by_msg_id(store, S, "old") is None

    async def test_a_killed_writer_leaves_its_batch_to_the_next(self, backend: Backend, store: CommentStore) -> None:
        """A kill -9 inside a write: the watermark knows nothing of it; delivered again, all of it is there, once."""
        await store.write([logged(comment(1), 1)], {LOG: 1})
        batch = [logged(comment(n), n, key=f"k{n}") for n in range(2, 400)] + [logged(removed(1), 400)]
        await backend.kill_while_writing(batch, 400)

        assert await store.archived_through(LOG) == 1
        await store.write(batch, {LOG: 400})
        assert await everything(store) == [(1, "moderator"), *((n, None) for n in range(2, 400))]
        assert (await store.total(S), await store.tail(S), await store.archived_through(LOG)) == (398, 400, 400)

    async def test_what_the_log_has_erased_stays_in_the_store(self, store: CommentStore) -> None:
        """Removed comments are erased from the log: what it still has may be replayed in any order, and changes nothing."""
        chance = random.Random(6)
        history = [logged(comment(n), n, key=f"k{n}") for n in range(1, 101)]
        history += [logged(removed(n), 100 + n) for n in range(10, 60)] + [logged(Purged(user_id="bob"), 200)]
        await store.write(history, {LOG: 200})
        before = await answers(store)
        left = [item for item in history if not 10 <= item.seq < 60]
        chance.shuffle(left)
        for start in range(0, len(left), 17):
            await store.write(left[start : start + 17], {LOG: start})

        assert await answers(store) == before
        assert await store.archived_through(LOG) == 200

    async def test_a_removal_outlives_its_comment(self, store: CommentStore) -> None:
        """A store that is filled anew from a log that has erased what was removed: nothing is shown, and everybody is told."""
        await store.write([logged(removed(1), 2), logged(comment(3), 3)], {LOG: 3})

        assert await store.comment(S, "1") is None
        assert (await everything(store), await store.total(S)) == ([(3, None)], 1)
        assert [item.seq for item in await store.range(S, 0, END, 10)] == [2, 3]

    async def test_the_event_loop_is_never_blocked(self, store: CommentStore) -> None:
        """While a large batch is written the loop goes on turning."""
        writing = asyncio.create_task(store.write([logged(comment(n), n) for n in range(1, 8001)], {}))
        turns = 0
        while not writing.done():
            await asyncio.sleep(0)
            turns += 1
        await writing
        assert turns > 100
