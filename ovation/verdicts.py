"""What a live log decides on one stream's comments: what the store has to show by now, and what it may show already."""

from collections.abc import AsyncIterator, Collection

from infra.jetstream.reader import Reader
from infra.stores import CommentStore, LoggedItem, StoredItem
from schemas import subjects
from schemas.items import Comment, Purged, Removed, Restored
from workers.archive.refill import logged_item

#: Messages read at once.
BATCH = 1000
#: Comments and users decided on that are remembered: at 250 bytes each 125 MB. A stream with more has its verdicts left out.
MOST = 500_000


class Verdicts:
    """Of one stream. Decisions that the log has forgotten concern comments that it has forgotten too.

    A decision that is archived is shown by every row read after that was known; of those above the mark a row may show any:
    they are being written, each on its own and in any order.
    """

    def __init__(self, reader: Reader, store: CommentStore, shard: int, stream_id: str, after: int) -> None:
        """Nothing is known yet; decisions up to *after* are none of ours."""
        self._reader = reader
        self._store = store
        self._log, self._subject = subjects.live_log(shard), subjects.live(shard, stream_id)
        self._known = after
        self._on_comments: dict[str, tuple[int, str | None]] = {}
        self._on_users: dict[str, int] = {}

    def too_many(self) -> bool:
        """Whether there are more than `MOST`: then they say nothing any more."""
        return len(self._on_comments) + len(self._on_users) > MOST

    async def settle(self) -> None:
        """Learn what is archived by now.

        Raises:
            Unavailable: the broker or the store does not answer.
        """
        if self.too_many():
            return
        through = await self._store.archived_through(self._log)
        until = min(through, (await self._reader.state(self._log)).last)
        async for item in self._decisions(self._known, until):
            self._learn(item)
            if self.too_many():
                return
        self._known = max(self._known, until)

    def on(self, comment: Comment, seq: int) -> tuple[int, str | None]:
        """The archived decision on the comment that the log put at *seq*, and why it is removed by it; (0, None) for none."""
        decided, reason = self._on_comments.get(comment.comment_id, (0, None))
        purged = self._on_users.get(comment.user.id, 0)
        return (purged, "purged") if purged > max(decided, seq) else (decided, reason)

    async def under_way(self, said: Collection[tuple[Comment, StoredItem]]) -> dict[int, set[str | None]]:
        """What was decided by now, above what was settled last, on each of these comments; by their seqs.

        Raises:
            Unavailable: the broker does not answer.
        """
        found: dict[int, set[str | None]] = {row.seq: set() for _, row in said}
        by_id = {comment.comment_id: row.seq for comment, row in said}
        async for item in self._decisions(self._known, (await self._reader.state(self._log)).last):
            match item.item:
                case Removed(comment_id=comment_id, reason=reason) if comment_id in by_id:
                    found[by_id[comment_id]].add(reason)
                case Restored(comment=comment) if comment.comment_id in by_id:
                    found[by_id[comment.comment_id]].add(None)
                case Purged(user_id=user_id):
                    for comment, row in said:
                        if comment.user.id == user_id:
                            found[row.seq].add("purged")
        return found

    def _learn(self, item: LoggedItem) -> None:
        match item.item:
            case Removed(comment_id=comment_id, reason=reason):
                self._on_comments[comment_id] = (item.seq, reason)
            case Restored(comment=comment):
                self._on_comments[comment.comment_id] = (item.seq, None)
            case Purged(user_id=user_id):
                self._on_users[user_id] = item.seq

    async def _decisions(self, after: int, until: int) -> AsyncIterator[LoggedItem]:
        while after < until:
            messages = await self._reader.range(self._log, self._subject, after, until, BATCH)
            for message in messages:
                try:
                    item = logged_item(self._log, message)
                except ValueError:
                    continue
                if isinstance(item.item, Removed | Restored | Purged):
                    yield item
            after = messages[-1].seq if len(messages) == BATCH else until
