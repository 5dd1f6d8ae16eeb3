"""The CommentStore on SQLite; see `infra.stores` for the contract."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from infra.sqlite import ranks
from infra.sqlite.batch import number, write_batch
from infra.sqlite.database import Database
from infra.sqlite.erasure import ERASED, erase
from infra.sqlite.forgetting import forget
from infra.sqlite.lookups import by_msg_ids
from infra.sqlite.schema import COARSE, FINE
from infra.stores import LoggedItem, StoredItem

_MAX = 2**63 - 1
_NO = "no = (SELECT no FROM tally WHERE stream_id = ?)"
_COLUMNS = "seq, at_ms, payload, removed, msg_id"


def _page(where: str, order: str, no: str = _NO) -> str:
    """A page of comments. Found in the index alone: what is passed over is never read."""
    found = f"SELECT seq FROM items INDEXED BY items_comments WHERE {no} AND comment_id IS NOT NULL AND {where}"  # noqa: S608 - our own constants
    return f"SELECT {_COLUMNS} FROM items WHERE {no} AND seq IN ({found}) ORDER BY seq {order}"  # noqa: S608 - our own constants


def _walked(where: str, order: str) -> str:
    return _page(f"{where} ORDER BY seq {order} LIMIT ? OFFSET ?", order)


def _jumped(order: str) -> str:
    descending = order == "DESC"
    return f"WITH {ranks.PASSED[descending]} {_page(ranks.BEGUN[descending], order, _NO.replace('?', '?1'))}"


_SPANS = f"SELECT low, high FROM spans WHERE {_NO} AND width = ? AND span BETWEEN ? AND ?"  # noqa: S608 - our own constant
_ENDS = f"""WITH ends AS MATERIALIZED (
    SELECT min(low) - 1 AS low, max(high) + 1 AS high FROM ({_SPANS} UNION ALL {_SPANS} UNION ALL {_SPANS})
) """  # noqa: S608 - our own constant
_WITHIN = "seq > max(?, (SELECT low FROM ends)) AND seq < min(?, (SELECT high FROM ends)) AND at_ms >= ? AND at_ms < ?"
#: By whether it is descending. One statement each: a thread waits for the interpreter at every one.
_PAGES = {False: _walked("seq > ? AND seq < ?", "ASC"), True: _walked("seq > ? AND seq < ?", "DESC")}
_DEEP = {False: _jumped("ASC"), True: _jumped("DESC")}
_TIMED = {False: _ENDS + _walked(_WITHIN, "ASC"), True: _ENDS + _walked(_WITHIN, "DESC")}
# What lies above is counted: it is little, since all questions ask up to where the archive has come.
_UNTIL = f"""SELECT comments - (
    SELECT count(*) FROM items INDEXED BY items_comments WHERE {_NO} AND comment_id IS NOT NULL AND seq > ? AND removed IS NULL
) FROM tally WHERE stream_id = ?"""  # noqa: S608 - our own constant
#: What may stand in a question: bound, never written into it.
_Value = int | str


class SqliteComments:
    """All items of all live logs, in one file."""

    def __init__(self, database: Database) -> None:
        """*database* is shared with the StreamStore and closed by whoever opened it."""
        self._database = database

    async def write(self, items: Sequence[LoggedItem], archived_through: Mapping[str, int]) -> None:
        """Write a batch and the watermarks in one transaction."""
        await self._database.write(lambda db: write_batch(db, items, archived_through))

    async def archived_through(self, log: str) -> int:
        """The highest seq up to which the store has everything of *log*; 0 when it has nothing."""
        return await self._number("SELECT through FROM archived WHERE log = ?", log)

    async def range(self, stream_id: str, after: int, until: int, limit: int) -> list[StoredItem]:
        """Items with `after < seq <= until`, ascending."""
        where = "seq > ? AND seq <= ? AND payload <> x'' ORDER BY seq LIMIT ?"
        return await self._items(stream_id, where, after, min(until, _MAX), limit)

    async def newest(self, stream_id: str, before: int, limit: int) -> list[StoredItem]:
        """Items with `seq < before`, descending."""
        return await self._items(stream_id, "seq < ? AND payload <> x'' ORDER BY seq DESC LIMIT ?", min(before, _MAX), limit)

    async def comments(
        self,
        stream_id: str,
        *,
        after: int,
        before: int,
        descending: bool,
        limit: int,
        offset: int = 0,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> list[StoredItem]:
        """Comments with `after < seq < before` and `from_ms <= at < to_ms`."""
        first, last = max(after, -_MAX), min(before, _MAX)
        if from_ms is None and to_ms is None and offset > ranks.FEW:
            deep = (stream_id, first, last, limit, offset)
            return _stored(stream_id, await self._database.query(_DEEP[descending], deep))
        if from_ms is None and to_ms is None:
            plain = (stream_id, stream_id, first, last, limit, offset)
            return _stored(stream_id, await self._database.query(_PAGES[descending], plain))
        low = -_MAX if from_ms is None else max(from_ms, -_MAX)
        high = _MAX if to_ms is None else min(to_ms, _MAX)
        values = (*_spans(stream_id, low, high), stream_id, stream_id, first, last, low, high, limit, offset)
        return _stored(stream_id, await self._database.query(_TIMED[descending], values))

    async def replies(self, stream_id: str, parent_comment_id: str, after: int, limit: int) -> list[StoredItem]:
        """Replies to one comment with `seq > after`, ascending."""
        where = "parent_id = ? AND seq > ? ORDER BY seq LIMIT ?"
        return await self._items(stream_id, where, parent_comment_id, after, limit, index="items_by_parent")

    async def comment(self, stream_id: str, comment_id: str) -> StoredItem | None:
        """One comment by id, removed or not."""
        where = "comment_id = ? ORDER BY seq LIMIT 1"
        found = await self._items(stream_id, where, comment_id, index="items_by_comment")
        return found[0] if found else None

    async def by_msg_ids(self, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], StoredItem]:
        """What was stored under these streams' Msg-Ids; the first, should the log have taken one twice."""
        return await by_msg_ids(self._database, asked)

    async def total(self, stream_id: str, until: int | None = None) -> int:
        """How many comments are stored and not removed; with *until* those up to it."""
        if until is None:
            return await self._number("SELECT comments FROM tally WHERE stream_id = ?", stream_id)
        return await self._number(_UNTIL, stream_id, min(until, _MAX), stream_id)

    async def tail(self, stream_id: str) -> int:
        """The highest stored seq of the stream; 0 when there is none."""
        return await self._number(f"SELECT max(seq) FROM items WHERE {_NO}", stream_id)  # noqa: S608 - our own constant

    async def forget(self, stream_id: str, until_ms: int) -> None:  # noqa: ARG002 - rows here end with their statement
        """Let go of all there is of a stream."""
        await forget(self._database, stream_id)

    async def erase(self, stream_id: str, seqs: Collection[int], until_ms: int) -> None:
        """Erase for good what the log put at *seqs* until *until_ms*."""

        def work(db: sqlite3.Connection) -> None:
            no = number(db, stream_id)
            erase(db, no, seqs, until_ms)
            ranks.recount(db, no, seqs)

        await self._database.write(work)

    async def erased(self, stream_id: str, after: int, until: int, limit: int) -> list[int]:
        """The erased seqs with `after < seq <= until`, ascending."""
        return [seq for (seq,) in await self._database.query(ERASED, (stream_id, after, min(until, _MAX), limit))]

    async def _items(self, stream_id: str, where: str, *values: _Value, index: str = "") -> list[StoredItem]:
        return await self._database.read(lambda db: _select(db, stream_id, where, *values, index=index))

    async def _number(self, question: str, *values: _Value) -> int:
        row = await self._database.read(lambda db: db.execute(question, values).fetchone())
        return int(row[0] or 0) if row else 0


def _select(db: sqlite3.Connection, stream_id: str, where: str, *values: _Value, index: str = "") -> list[StoredItem]:
    # Named, since SQLite without statistics takes the primary key instead and walks the whole stream.
    source = f"items INDEXED BY {index}" if index else "items"
    question = f"SELECT {_COLUMNS} FROM {source} WHERE {_NO} AND {where}"  # noqa: S608 - constants of this file
    return _stored(stream_id, db.execute(question, (stream_id, *values)))


def _stored(stream_id: str, rows: Iterable[tuple[Any, ...]]) -> list[StoredItem]:
    return [
        StoredItem(stream_id=stream_id, seq=seq, at_ms=at_ms, payload=payload, removed=removed, msg_id=msg_id)
        for seq, at_ms, payload, removed, msg_id in rows
    ]


def _spans(stream_id: str, low_ms: int, high_ms: int) -> tuple[_Value, ...]:
    """Values of `_ENDS`: the coarse spans that lie in the time whole, and the fine ones before and after them."""
    parts = COARSE - FINE
    first, last = low_ms >> FINE, (high_ms - 1) >> FINE
    coarse_first, coarse_last = -(-first >> parts), ((last + 1) >> parts) - 1
    if coarse_first > coarse_last:
        return (stream_id, FINE, first, last, stream_id, COARSE, 1, 0, stream_id, FINE, 1, 0)
    return (
        *(stream_id, FINE, first, (coarse_first << parts) - 1),
        *(stream_id, COARSE, coarse_first, coarse_last),
        *(stream_id, FINE, (coarse_last + 1) << parts, last),
    )
