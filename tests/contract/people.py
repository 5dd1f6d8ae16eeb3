"""The promises of `infra.stores.PeopleStore` and `ModerationStore`; a part of the contract."""

import random

from infra.stores import CommentStore, Decision, PeopleStore, StoredItem
from schemas import codec
from schemas.items import Comment, Purged, Removed
from tests.contract.histories import END, OTHER, Backend, S, logged, numbered, restored
from tests.contract.replays import NAMES, shuffled, whole_log
from tests.factories import NOON_MS, comment, removed

#: A year before the other streams.
OLD = "0182a5ac-e000-7bb6-bc13-d949c5118ce2"


class PeopleContract:
    """Every implementation passes all of these."""

    async def test_what_a_person_said_in_one_stream(self, backend: Backend, store: CommentStore) -> None:
        """Newest first, a page at a time, each once; removed comments say so; nobody else's are among them."""
        items = [logged(comment(n, author=("ada", "bob")[n % 2]), n) for n in range(1, 101)]
        await store.write([*items, logged(removed(4), 200), logged(comment(3, author="bob"), 201, stream_id=OTHER)], {})
        people = backend.people()
        seen: list[StoredItem] = []
        while page := await people.said_in(S, "ada", seen[-1].seq if seen else END, 7):
            seen += page

        assert [each.seq for each in seen] == list(range(100, 0, -2))
        assert {each.seq for each in seen if each.removed} == {4}
        assert seen[0].payload == items[99].payload
        assert await people.said_in(S, "nobody", END, 7) == []
        assert await people.said_in(numbered(9), "ada", END, 7) == []

    async def test_what_a_person_said_everywhere(self, backend: Backend, store: CommentStore) -> None:
        """Newest stream first, newest comment first in each; pages of any size meet every comment once, over years."""
        streams = [OLD, S, OTHER, *map(numbered, range(40))]
        for place, stream_id in enumerate(streams):
            said = [logged(comment(n, author="ada"), 100 * place + n, stream_id=stream_id) for n in range(1, 4)]
            await store.write([*said, logged(comment(9, author="bob"), 100 * place + 9, stream_id=stream_id)], {})
        expected = [
            (stream_id, 100 * streams.index(stream_id) + n) for stream_id in sorted(streams, reverse=True) for n in (3, 2, 1)
        ]

        for limit in (2, 50):
            assert await everything_of(backend.people(), "ada", limit) == expected

    async def test_who_said_it_is_who_it_was(self, backend: Backend, store: CommentStore) -> None:
        """Names that look alike, or that are hard to keep, are different people, whatever order their comments come in."""
        log = whole_log(random.Random(9), 300)
        await shuffled(random.Random(9), store, log)
        for name in NAMES:
            theirs = [each.seq for each in log if isinstance(each.item, Comment) and each.item.user.id == name]
            found = await backend.people().said_in(S, name, END, 500)
            assert [each.seq for each in found] == theirs[::-1], name
            assert {_author(each.payload) for each in found} <= {name}

    async def test_a_replaced_message_is_said_by_somebody_else(self, backend: Backend, store: CommentStore) -> None:
        """A seq that the log gave again is no longer listed under whoever spoke there first."""
        await store.write([logged(comment(1), 1), logged(comment(2), 2)], {})
        await store.write([logged(comment(3, author="bob"), 1, at_ms=NOON_MS + 5_000)], {})

        assert [each.seq for each in await backend.people().said_in(S, "ada", END, 5)] == [2]
        assert [each.seq for each in await backend.people().said_in(S, "bob", END, 5)] == [1]

    async def test_what_was_decided_is_listed(self, backend: Backend, store: CommentStore) -> None:
        """Each removal, restore and purge once, newest first, however often it was written; nothing else."""
        decided = [
            logged(Removed(comment_id="1", reason="author"), 10),
            logged(restored(1), 11),
            logged(Purged(user_id="bob", reason="creator"), 12),
            logged(Removed(comment_id="77", reason="automatic"), 13),
        ]
        for _ in range(2):
            await store.write([*decided[::-1], logged(comment(1), 1), logged(comment(2), 2)], {})
        moderation = backend.moderation()

        def at(seq: int) -> dict[str, str | int]:
            return {"stream_id": S, "seq": seq, "at_ms": NOON_MS + seq}

        everything = [
            Decision(**at(13), action="removed", comment_id="77", reason="automatic"),  # type: ignore[arg-type]  # as named above
            Decision(**at(12), action="purged", user_id="bob", reason="creator"),  # type: ignore[arg-type]
            Decision(**at(11), action="restored", comment_id="1"),  # type: ignore[arg-type]
            Decision(**at(10), action="removed", comment_id="1", reason="author"),  # type: ignore[arg-type]
        ]
        assert await moderation.decisions(S, END, 10) == everything
        assert await moderation.decisions(S, 13, 2) == everything[1:3]
        assert await moderation.decisions(OTHER, END, 10) == []


async def everything_of(people: PeopleStore, user_id: str, limit: int) -> list[tuple[str, int]]:
    """Stream and seq of all that somebody said, *limit* at a time."""
    found: list[tuple[str, int]] = []
    while page := await people.said(user_id, found[-1] if found else None, limit):
        assert len(page) <= limit
        found += [(each.stream_id, each.seq) for each in page]
    return found


def _author(payload: bytes) -> str:
    item = codec.decode_item(payload)
    assert isinstance(item, Comment)
    return item.user.id
