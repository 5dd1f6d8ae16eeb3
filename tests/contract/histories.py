"""What the comment store's contract is checked with: backends, histories, and what they must read as."""

import random
from collections.abc import Sequence
from typing import Protocol

import pytest

from infra.errors import Unavailable
from infra.stores import CommentStore, LoggedItem, ModerationStore, PeopleStore, StoredItem
from schemas import codec
from schemas.items import Comment, Item, Purged, Removed, Restored
from tests.factories import NOON_MS, comment

S = "018bcfe5-6800-7bb6-bc13-d949c5118ce2"
OTHER = "018bcfe5-6800-7bb6-bc13-d949c5118ce3"
LOG = "LIVE_0"
END = 2**53


def numbered(number: int) -> str:
    """One of many streams: a fresh store for each would cost a database on a server half a second."""
    return f"{S[:-4]}{number:04x}"


class Backend(Protocol):
    """Where an implementation keeps its data, and how to hurt it."""

    async def open(self) -> CommentStore:
        """One more, independent handle on the same data."""

    async def anew(self) -> CommentStore:
        """A handle on an empty store; `rows` are its."""

    def people(self) -> PeopleStore:
        """What people said, by the handle that was opened last."""

    def moderation(self) -> ModerationStore:
        """What was decided, by the handle that was opened last."""

    async def rows(self) -> dict[str, list[str]]:
        """All rows of all tables, to the byte."""

    async def kill_while_writing(self, items: Sequence[LoggedItem], through: int) -> None:
        """Let another process write *items* and kill -9 it in the middle."""

    async def kill_after_writing(self, items: Sequence[LoggedItem], through: int) -> None:
        """Let another process write all of *items* and kill -9 it before it tells anybody."""


class Disk(Protocol):
    """What a store's data lies on, for stores that see its end."""

    async def fill(self) -> None:
        """Take all the room there is."""

    async def free(self) -> None:
        """Give it back."""


def logged(item: Item, seq: int, *, stream_id: str = S, at_ms: int | None = None, key: str | None = None) -> LoggedItem:
    """*item* at *seq*; logged at noon plus *seq* ms unless told."""
    at = NOON_MS + seq if at_ms is None else at_ms
    return LoggedItem(log=LOG, stream_id=stream_id, seq=seq, at_ms=at, payload=codec.encode(item), item=item, msg_id=key)


def restored(number: int) -> Restored:
    """The return of comment *number*."""
    return Restored(comment=comment(number))


async def by_msg_id(store: CommentStore, stream_id: str, msg_id: str) -> StoredItem | None:
    """What a stream has under a key."""
    return (await store.by_msg_ids([(stream_id, msg_id)])).get((stream_id, msg_id))


async def everything(store: CommentStore, stream_id: str = S) -> list[tuple[int, str | None]]:
    """(seq, removed) of all comments, ascending."""
    found = await store.comments(stream_id, after=0, before=END, descending=False, limit=100_000)
    return [(each.seq, each.removed) for each in found]


async def answers(store: CommentStore) -> tuple[object, ...]:
    """All that the store says of the stream, to be compared."""
    items = await store.range(S, 0, END, 100_000)
    return (items, await everything(store), await store.total(S), await store.tail(S))


async def fill(store: CommentStore, comments: int) -> None:
    """*comments* at the even seqs of `S`, as many of the other stream between them."""
    for start in range(1, comments + 1, 500):
        numbers = range(start, min(start + 500, comments + 1))
        mine = [logged(comment(n), 2 * n) for n in numbers]
        await store.write([*mine, *(logged(comment(n), 2 * n - 1, stream_id=OTHER) for n in numbers)], {})


async def fill_disk(backend: Disk, store: CommentStore) -> int:
    """Write until the disk is full; how many comments were acknowledged."""
    await store.write([logged(comment(1), 1)], {LOG: 1})
    await backend.fill()
    stored = 1
    while stored < 100_000:
        batch = [logged(comment(n, text="x" * 400), n) for n in range(stored + 1, stored + 101)]
        try:
            await store.write(batch, {LOG: stored + 100})
        except Unavailable as error:
            assert "is full" in str(error)
            return stored
        stored += 100
    pytest.fail("the disk took everything")


def random_item(chance: random.Random, seq: int) -> Item:
    """A comment, or a decision on one of sixty."""
    kind = chance.choices(("comment", "removed", "restored", "purged"), (6, 3, 2, 1))[0]
    target = chance.randint(1, 60)
    match kind:
        case "removed":
            return Removed(comment_id=str(target), reason=chance.choice(("author", "moderator", "creator")))
        case "restored":
            return restored(target)
        case "purged":
            return Purged(user_id=chance.choice(("ada", "bob", "eve")))
    # An id above the targets' range now and then, so that some comments are never touched.
    return comment(seq if seq <= 60 else 1000 + seq, author=chance.choice(("ada", "bob", "eve")))


def replayed(history: Sequence[LoggedItem]) -> list[tuple[int, str | None]]:
    """What a plain replay in order gives: a naive model, in other terms than any implementation's."""
    shown: dict[int, str | None] = {}
    said: dict[str, Comment] = {}
    place: dict[str, int] = {}
    early: dict[str, str | None] = {}
    for event in history:
        match event.item:
            case Comment(comment_id=comment_id):
                said[comment_id], place[comment_id] = event.item, event.seq
                shown[event.seq] = early.get(comment_id)
            case Removed(comment_id=comment_id, reason=reason):
                early[comment_id] = reason
                if comment_id in place:
                    shown[place[comment_id]] = reason
            case Restored(comment=back):
                early[back.comment_id] = None
                if back.comment_id in place:
                    shown[place[back.comment_id]] = None
            case Purged(user_id=user_id):
                for comment_id, words in said.items():
                    # An earlier removal's reason gives way to the later purge.
                    if words.user.id == user_id:
                        shown[place[comment_id]] = "purged"
    return sorted(shown.items())
