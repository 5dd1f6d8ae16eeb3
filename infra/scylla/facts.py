"""What a batch of items says, as rows of the tables, each with its own event's time.

A write's time is that of its event, never the clock's: a row written again later, or for the first time after its
successor, changes nothing. Within a millisecond the lowest digits of the seq decide.
"""

from collections.abc import Iterable

from msgspec import Struct

from infra.scylla import places
from infra.scylla.database import Database, Row
from infra.stores import LoggedItem
from schemas.items import Comment, Item, Purged, Removed, Restored

PURGED = "purged"
RESTORED = "restored"
REMOVED = "removed:"

_LOOKUP = """INSERT INTO {ks}.lookups (stream_id, part, key, seq, comment_id) VALUES (?, ?, ?, ?, ?)
USING TIMESTAMP ? AND TTL ?"""
_DECISION = """INSERT INTO {ks}.decisions (stream_id, comment_id, seq, kind, at_us) VALUES (?, ?, ?, ?, ?)
USING TIMESTAMP ? AND TTL ?"""
_PURGE = "INSERT INTO {ks}.purges (stream_id, user_id, seq, at_us) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"
_ITEM = """INSERT INTO {ks}.items (stream_id, bucket, seq, at_ms, payload, msg_id, comment_id) VALUES (?, ?, ?, ?, ?, ?, ?)
USING TIMESTAMP ? AND TTL ?"""
_DECIDED = """UPDATE {ks}.items USING TIMESTAMP ? AND TTL ? SET decided[?] = ?
WHERE stream_id = ? AND bucket = ? AND seq = ?"""


class Decision(Struct, frozen=True):
    """What the event at *seq* decided on one comment; *kind* is `restored`, `purged` or `removed:` and the reason."""

    stream_id: str
    comment_id: str
    seq: int
    kind: str
    at_us: int


def event_us(item: LoggedItem) -> int:
    """The write time of what *item* says, in microseconds."""
    return item.at_ms * 1000 + item.seq % 1000


def decision_of(item: LoggedItem) -> Decision | None:
    """What *item* decides on a comment; `None` when it decides nothing, or on all of a user's."""
    match item.item:
        case Removed(comment_id=comment_id, reason=reason):
            return Decision(item.stream_id, comment_id, item.seq, REMOVED + reason, event_us(item))
        case Restored(comment=comment):
            return Decision(item.stream_id, comment.comment_id, item.seq, RESTORED, event_us(item))
    return None


def keys_of(item: Item, msg_id: str | None) -> list[str]:
    """The keys under which *item* is looked up."""
    keys = [places.by_msg_id(msg_id)] if msg_id is not None else []
    if isinstance(item, Comment):
        keys += [places.by_id(item.comment_id), places.by_user(item.user.id)]
        if item.parent_comment_id is not None:
            keys.append(places.by_parent(item.parent_comment_id))
    return keys


def verdict(comment_id: str, decided: dict[int, str] | None) -> str | None:
    """Why a comment is gone by what was *decided* on it (seq -> comment id and kind); `None` while it may be shown.

    The latest word counts, and a restore undoes what came before it, be it a removal or a purge.
    """
    ours = {seq: words.partition(" ")[2] for seq, words in (decided or {}).items() if words.partition(" ")[0] == comment_id}
    return standing(ours)


def standing(decided: dict[int, str]) -> str | None:
    """The latest of the decisions on one comment (seq -> kind): a reason, or `None` when there is none or it was restored."""
    if not decided:
        return None
    kind = decided[max(decided)]
    if kind == RESTORED:
        return None
    return kind.removeprefix(REMOVED)


class Rows:
    """Makes rows; prepared once per handle."""

    def __init__(self, database: Database) -> None:
        """*database*: where they go."""
        self._database = database
        self._ttl = database.address.ttl_s
        # A decision outlives what it decides on: a comment that is written again must not outlive its removal.
        self._long = 2 * self._ttl

    async def lookups(self, item: LoggedItem) -> list[Row]:
        """How *item* is found other than by its seq."""
        keys = keys_of(item.item, item.msg_id)
        comment_id = item.item.comment_id if isinstance(item.item, Comment) else ""
        statement = await self._database.prepare(_LOOKUP)
        at = event_us(item)
        found = []
        for key in keys:
            place = (item.stream_id, places.part_of(key))
            found.append(Row(statement, place, (*place, key, item.seq, comment_id, at, self._ttl), 60 + len(key)))
        return found

    async def decisions(self, decisions: Iterable[Decision]) -> list[Row]:
        """Decisions on comments, wherever these are."""
        statement = await self._database.prepare(_DECISION)
        return [
            Row(statement, (d.stream_id,), (d.stream_id, d.comment_id, d.seq, d.kind, d.at_us, d.at_us, self._long))
            for d in decisions
        ]

    async def purges(self, items: Iterable[LoggedItem]) -> list[Row]:
        """The purges among *items*."""
        statement = await self._database.prepare(_PURGE)
        return [
            Row(statement, (i.stream_id,), (i.stream_id, i.item.user_id, i.seq, event_us(i), event_us(i), self._long))
            for i in items
            if isinstance(i.item, Purged)
        ]

    async def items(self, items: Iterable[LoggedItem]) -> list[Row]:
        """The items themselves. No column is left out or null, so that a row is one item's whole."""
        statement = await self._database.prepare(_ITEM)
        found = []
        for item in sorted(items, key=lambda each: each.seq):
            place = (item.stream_id, places.bucket_of(item.seq))
            comment_id = item.item.comment_id if isinstance(item.item, Comment) else ""
            values = (item.seq, item.at_ms, item.payload, item.msg_id or "", comment_id, event_us(item), self._ttl)
            found.append(Row(statement, place, (*place, *values), 100 + len(item.payload) + len(item.msg_id or "")))
        return found

    async def decided(self, decisions: Iterable[tuple[Decision, int]]) -> list[Row]:
        """Decisions where the comments are: each with its comment's seq. A row that is not there yet has no payload then."""
        statement = await self._database.prepare(_DECIDED)
        found = []
        for decision, seq in decisions:
            place = (decision.stream_id, places.bucket_of(seq))
            words = f"{decision.comment_id} {decision.kind}"
            found.append(Row(statement, place, (decision.at_us, self._long, decision.seq, words, *place, seq)))
        return found
