"""A file of the first format, opened by this version: what is in it is read as before, and by the new tables."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.sqlite import Database, SqliteComments, SqliteModeration, SqlitePeople, SqliteStreams
from infra.sqlite.schema import MIGRATIONS
from infra.stores import LoggedItem, decision_of
from schemas import codec
from schemas.items import Comment, Purged
from tests.contract.histories import END, LOG, S, everything, logged, restored
from tests.contract.stream_store import record
from tests.factories import comment, removed

#: What the first version wrote with a batch, spelled out: this version's own code does it otherwise.
ITEM = "INSERT INTO items (no, seq, at_ms, payload, msg_id, comment_id, parent_id, user_id, removed) VALUES (1,?,?,?,?,?,?,?,?)"
ITEMS = [
    *(logged(comment(n, author=("ada", "bob")[n % 2], text='"type":"removed"'), n, key=f"k{n}") for n in range(1, 6)),
    logged(removed(2), 6),
    logged(removed(4), 7),
    logged(restored(4), 8),
    logged(Purged(user_id="bob"), 9),
]


def first_format(path: Path) -> None:
    """Write `ITEMS` as the first version did."""
    db = sqlite3.connect(path)
    for statement in MIGRATIONS[0]:
        db.execute(statement)
    db.execute("INSERT INTO tally (no, stream_id) VALUES (1, ?)", (S,))
    for each in ITEMS:
        own = (
            (each.item.comment_id, each.item.parent_comment_id, each.item.user.id)
            if isinstance(each.item, Comment)
            else (None,) * 3
        )
        db.execute(ITEM, (each.seq, each.at_ms, each.payload, each.msg_id, *own, _removed(each)))
        db.execute("INSERT OR IGNORE INTO minutes VALUES (1, ?, 1, 9)", (each.at_ms // 60_000,))
    db.execute("INSERT INTO verdicts VALUES (1, '2', 6, 'moderator', 0), (1, '4', 7, 'moderator', 8)")
    db.execute("INSERT INTO purges VALUES (1, 'bob', 9)")
    db.execute("INSERT INTO archived VALUES (?, 9)", (LOG,))
    db.execute("INSERT INTO streams VALUES (?, 3, 'live', ?)", (record(1).stream_id, codec.encode(record(1))))
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()


def before_the_last(path: Path) -> None:
    """Write an empty file of the format before this version's."""
    db = sqlite3.connect(path)
    for statement in (each for step in MIGRATIONS[:-1] for each in step):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
    db.commit()
    db.close()


def _removed(item: LoggedItem) -> str | None:
    return {1: "purged", 2: "moderator", 3: "purged", 5: "purged"}.get(item.seq)


async def test_a_file_of_the_first_format_is_read_and_erased(tmp_path: Path) -> None:
    """Comments, total, people and decisions are there; what is erased now takes the restore of before with it."""
    first_format(tmp_path / "old.sqlite")
    database = await Database.open(tmp_path / "old.sqlite")
    store, people, moderation = SqliteComments(database), SqlitePeople(database), SqliteModeration(database)

    assert await everything(store) == [(1, "purged"), (2, "moderator"), (3, "purged"), (4, None), (5, "purged")]
    assert (await store.total(S), await store.archived_through(LOG)) == (1, 9)
    assert [each.seq for each in await people.said("ada", None, 9)] == [4, 2]
    assert await moderation.decisions(S, END, 9) == [decision_of(each) for each in ITEMS[:4:-1]]

    assert await database.query("SELECT no, block, comments, before FROM ranks", ()) == [(1, 0, 5, 0)]
    assert await SqliteStreams(database).by_creator("ada", before=None, limit=9) == [record(1)]

    await store.erase(S, [4], ITEMS[-1].at_ms)
    assert await store.erased(S, 0, END, 9) == [4, 8]
    await store.write(ITEMS, {LOG: 9})
    assert [each.seq for each in await people.said("ada", None, 9)] == [2]
    await store.write([logged(comment(4), 10)], {})
    assert await store.total(S) == 0
    assert await everything(store) == [(1, "purged"), (2, "moderator"), (3, "purged"), (5, "purged"), (10, "purged")]
    await database.close()


@pytest.mark.parametrize("old", [first_format, before_the_last, None])
async def test_an_index_that_no_question_goes_by_is_gone(tmp_path: Path, old: Callable[[Path], None] | None) -> None:
    """Of a new file and of an old one; those that are named in questions are there."""
    path = tmp_path / "old.sqlite"
    if old is not None:
        old(path)
    database = await Database.open(path)
    named = await database.query("SELECT name FROM sqlite_schema WHERE name LIKE 'items_%' AND type = 'index'", ())
    await database.close()

    by = {f"items_by_{what}" for what in ("comment", "msg_id", "parent", "user")}
    assert {name for (name,) in named} == {"items_comments", *by}
