"""A page of comments, out of the store and what the log has beyond it."""

import itertools
from collections.abc import Iterable, Sequence
from functools import cached_property

from msgspec import Struct

from gateway.merged import END, between, merged, of_log, of_store
from gateway.shown import Shown
from gateway.unarchived import Recent
from infra.jetstream.reader import LogMessage
from infra.stores import CommentStore, StoredItem
from schemas.records import StreamRecord


class CommentPage(Struct, frozen=True, kw_only=True, dict=True):
    """What is asked for, as `CommentStore.comments` has it, and the part of the log that the store may not have: *recent*."""

    record: StreamRecord
    after: int
    before: int | None
    descending: bool
    limit: int
    offset: int
    from_ms: int | None
    to_ms: int | None
    recent: Recent

    def logged(self) -> list[Shown] | None:
        """The page, if the log has all of it; else `None`."""
        size = self.offset + self.limit
        # All after the cursor, or all that are told: is it above what the store has without a hole?
        rest = self.after >= self.recent.through
        if not rest and not (self.descending and len(self._messages) >= size):
            return None
        found = self._first(of_log(self.record.stream_id, self._messages, self.recent.removals), size)
        enough = self.descending and len(found) == size
        begins = self.recent.begins
        told = found if (enough or rest) and begins <= (found[-1].seq if enough else self.after + 1) else None
        return told[self.offset :] if told is not None else None

    async def read(self, store: CommentStore) -> list[Shown]:
        """The page, with what *store* has of it.

        Raises:
            Unavailable: the store does not answer.
        """
        after, limit, offset = self.after, self.limit, self.offset
        if not offset:
            return await self._both(store, after, limit)
        if self.descending:
            newer = await self._unstored(store, offset + limit)
            found = newer[offset:]
            if len(found) == limit:
                return found
            return found + await self._stored(store, max(0, offset - len(newer)), limit - len(found))
        if found := await self._stored(store, offset, limit):
            rest = limit - len(found)
            return found + (await self._unstored(store, rest) if rest else [])
        # As many as that are not archived: then it is not known how many are.
        return (await self._both(store, after, offset + limit))[offset:]

    @property
    def _top(self) -> int:
        return min(self.before if self.before is not None else END, self.recent.bound + 1)

    @cached_property
    def _messages(self) -> Sequence[LogMessage]:
        """Those of the log within the page's bounds, in its order."""
        messages = [
            message
            for message in between(self.recent.messages, self.after, self._top)
            if (self.from_ms is None or message.at_ms >= self.from_ms) and (self.to_ms is None or message.at_ms < self.to_ms)
        ]
        return messages[::-1] if self.descending else messages

    async def _both(self, store: CommentStore, after: int, size: int) -> list[Shown]:
        """The first *size* of store and log after *after*; the log's are above `through`."""
        rows = await self._rows(store, after, size)
        shown = merged(rows, self._messages, self.recent.removals, stream_id=self.record.stream_id, descending=self.descending)
        return self._first(shown, size)

    async def _rows(self, store: CommentStore, after: int, size: int) -> list[StoredItem]:
        async def asked(before: int) -> list[StoredItem]:
            return await store.comments(
                self.record.stream_id, after=after, before=before, descending=self.descending, limit=size,
                from_ms=self.from_ms, to_ms=self.to_ms,
            )  # fmt: skip

        if self.before is None and self.descending:
            # A cluster finds a stream's end with one answer less than any other place, and seldom has a row above the log's.
            rows = await asked(END)
            if not rows or rows[0].seq < self._top:
                return rows
        return await asked(self._top)

    async def _unstored(self, store: CommentStore, size: int) -> list[Shown]:
        """The first *size* above `through`: of the log alone where it has all, or a page would ask the store twice."""
        after = max(self.after, self.recent.through)
        if self.recent.begins > after + 1:
            return await self._both(store, after, size)
        return self._first(of_log(self.record.stream_id, self._messages, self.recent.removals), size)

    @staticmethod
    def _first(shown: Iterable[Shown], size: int) -> list[Shown]:
        """The first *size* comments."""
        return list(itertools.islice((each for each in shown if each.comment_id is not None), size))

    async def _stored(self, store: CommentStore, skip: int, size: int) -> list[Shown]:
        """The store's own part, up to where it has everything, after the first *skip* of it."""
        rows = await store.comments(
            self.record.stream_id, after=self.after, before=min(self._top, self.recent.through + 1),
            descending=self.descending, limit=size, offset=skip, from_ms=self.from_ms, to_ms=self.to_ms,
        )  # fmt: skip
        return list(of_store(rows, self.recent.removals))
