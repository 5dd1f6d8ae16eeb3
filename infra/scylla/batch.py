"""One batch of items, written so that neither order nor repetition nor a crash between two statements matters.

Comments and the decisions on them (removals, restores, purges) find each other whoever comes first, and whoever writes:

    1. a comment's lookups are written, and decisions and purges under what they concern;
    2. then each side looks for the other: comments for decisions, decisions for comments, and all for what is erased;
    3. then rows are written: decisions into their comments' rows first, and the items.

Both sides write before they look, so of any two at least one sees the other; and no comment's row is there to be read before
what was decided on it is. Then the blocks that were touched are counted anew. Whoever dies in between has
acknowledged nothing: the log offers the batch again, and every step may be repeated.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from infra.scylla import places
from infra.scylla.database import Database
from infra.scylla.erasure import Erasures
from infra.scylla.facts import PURGED, Decision, Rows, decision_of, event_us
from infra.scylla.moderation import Moderated
from infra.scylla.people import Spoken
from infra.scylla.tallies import ANY_DECISION, Tallies
from infra.stores import LoggedItem
from schemas.items import Comment, Purged

T = TypeVar("T")

#: Keys of one question, all of one partition.
ASKED = 100
#: Rows of one page while a purged user's comments are gone through.
PAGE = 1000

_ANY_PURGE = "SELECT seq FROM {ks}.purges WHERE stream_id = ? LIMIT 1"
_DECISIONS = "SELECT comment_id, seq, kind, at_us FROM {ks}.decisions WHERE stream_id = ? AND comment_id IN ?"
_PURGES = "SELECT user_id, seq, at_us FROM {ks}.purges WHERE stream_id = ? AND user_id IN ?"
_FOUND = "SELECT seq FROM {ks}.lookups WHERE stream_id = ? AND part = ? AND key = ? LIMIT 100"
_THEIRS = """SELECT seq, comment_id FROM {ks}.lookups
WHERE stream_id = ? AND part = ? AND key = ? AND seq > ? AND seq < ? LIMIT 1000"""


class Batches:
    """Writes batches through one handle."""

    def __init__(self, database: Database) -> None:
        """*database*: where they go."""
        self._database = database
        self._rows = Rows(database)
        self._tallies = Tallies(database)
        self._erasures = Erasures(database)
        self._spoken = Spoken(database)
        self._moderated = Moderated(database)

    async def erase(self, stream_id: str, seqs: Collection[int], until_ms: int) -> None:
        """Erase what the log put at *seqs* until *until_ms*, and count what is left.

        Raises:
            Unavailable: any part of it is done; do it again.
        """
        await self._erasures.erase(stream_id, seqs, until_ms)
        await self._tallies.count({(stream_id, places.block_of(seq)) for seq in seqs})

    async def write(self, items: Sequence[LoggedItem]) -> None:
        """Write *items*; when this returns, all of it is there and counted.

        Raises:
            Unavailable: any part of it may be there; write all of it again.
        """
        decisions = [decision for item in items if (decision := decision_of(item)) is not None]
        first = [row for item in items for row in await self._rows.lookups(item)]
        first += await self._rows.decisions(decisions)
        first += await self._rows.purges(items)
        await self._database.put(first)

        on_comments, purged, found, erased = await asyncio.gather(
            self._on_comments(items), self._purged_by(items), self._comments_of(decisions), self._erasures.among(items)
        )
        decided = [(d, seq) for d, seq in (*on_comments, *purged, *found) if (d.stream_id, seq) not in erased]
        if decided:
            # What a purge decided on a comment is listed like any other decision.
            await self._database.put(await self._rows.decisions(d for d, _ in decided if d.kind == PURGED))
            await self._database.put(await self._rows.decided(decided))
        kept = [item for item in items if (item.stream_id, item.seq) not in erased]
        await self._database.put(
            [*await self._rows.items(kept), *await self._spoken.rows(kept), *await self._moderated.rows(items)]
        )
        self._spoken.known(kept)
        touched = {(item.stream_id, places.block_of(item.seq)) for item in items}
        await self._tallies.count(touched | {(d.stream_id, places.block_of(seq)) for d, seq in decided})

    async def _on_comments(self, items: Iterable[LoggedItem]) -> list[tuple[Decision, int]]:
        """What was decided already on the comments among *items*, with their seqs."""
        comments: dict[str, list[tuple[LoggedItem, Comment]]] = {}
        for item in items:
            if isinstance(item.item, Comment):
                comments.setdefault(item.stream_id, []).append((item, item.item))
        found = await asyncio.gather(*(self._on_stream(stream_id, theirs) for stream_id, theirs in comments.items()))
        return [each for some in found for each in some]

    async def _on_stream(self, stream_id: str, comments: Sequence[tuple[LoggedItem, Comment]]) -> list[tuple[Decision, int]]:
        # Most streams have nothing decided in them: two small questions instead of ten with a hundred keys each.
        decisions, purges = await asyncio.gather(
            self._database.read(ANY_DECISION, stream_id), self._database.read(_ANY_PURGE, stream_id)
        )
        if not decisions and not purges:
            return []
        some = await asyncio.gather(*(self._on_some(stream_id, part) for part in _parts(comments, ASKED)))
        return [each for found in some for each in found]

    async def _on_some(self, stream_id: str, comments: Sequence[tuple[LoggedItem, Comment]]) -> list[tuple[Decision, int]]:
        ids = sorted({comment.comment_id for _, comment in comments})
        users = sorted({comment.user.id for _, comment in comments})
        by_id, by_user = await asyncio.gather(
            self._database.read(_DECISIONS, stream_id, ids), self._database.read(_PURGES, stream_id, users)
        )
        if not by_id and not by_user:
            return []
        found = []
        for item, comment in comments:
            found += [
                (Decision(stream_id, comment.comment_id, row.seq, row.kind, row.at_us), item.seq)
                for row in by_id
                if row.comment_id == comment.comment_id and (row.kind != PURGED or row.seq > item.seq)
            ]
            found += [
                (Decision(stream_id, comment.comment_id, row.seq, PURGED, row.at_us), item.seq)
                for row in by_user
                if row.user_id == comment.user.id and row.seq > item.seq
            ]
        return found

    async def _comments_of(self, decisions: Sequence[Decision]) -> list[tuple[Decision, int]]:
        """The seqs of the comments that *decisions* are on, as far as they have arrived."""

        async def one(decision: Decision) -> list[tuple[Decision, int]]:
            key = places.by_id(decision.comment_id)
            rows = await self._database.read(_FOUND, decision.stream_id, places.part_of(key), key)
            return [(decision, row.seq) for row in rows]

        return [each for some in await asyncio.gather(*map(one, decisions)) for each in some]

    async def _purged_by(self, items: Iterable[LoggedItem]) -> list[tuple[Decision, int]]:
        """Decisions on all that the purged users among *items* have said before."""
        found: list[tuple[Decision, int]] = []
        for item in items:
            if not isinstance(item.item, Purged):
                continue
            key = places.by_user(item.item.user_id)
            after = -1
            while True:
                rows = await self._database.read(_THEIRS, item.stream_id, places.part_of(key), key, after, item.seq)
                found += [(Decision(item.stream_id, row.comment_id, item.seq, PURGED, event_us(item)), row.seq) for row in rows]
                if len(rows) < PAGE:
                    break
                after = rows[-1].seq
        return found


def _parts(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (values[at : at + size] for at in range(0, len(values), size))
