"""What fills a new table from those that were there, for stores of an earlier version. Blocks; may break off and begin again.

Each yields after every page, so that the migration's lock is renewed. Rows have their event's time, as if the archive had
written them. What an archive of the earlier version writes meanwhile is not in the new tables: stop it first.
"""

from collections.abc import Iterable, Iterator

import msgspec
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.query import PreparedStatement

from infra.scylla import places
from infra.scylla.address import Address
from schemas import codec
from schemas.items import Purged
from schemas.records import StreamRecord

PAGE = 1000
WRITERS = 32
PURGED, RESTORED, REMOVED = "purged", "restored", "removed:"

#: Who spoke, as the lookups have it: one partition of a stream's lookups after the other.
_PARTS = "SELECT DISTINCT stream_id, part FROM {ks}.lookups"
_KEYS = (
    "SELECT key, writetime(comment_id) AS at_us FROM {ks}.lookups WHERE stream_id = ? AND part = ? AND key >= 'u' AND key < 'v'"
)
_SPOKE = "INSERT INTO {ks}.spoke (day, part, user_id, stream_id) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"
_MONTH = "INSERT INTO {ks}.stream_months (name, month) VALUES ('spoke', ?)"
_DECISIONS = "SELECT stream_id, comment_id, seq, kind, at_us FROM {ks}.decisions"
_PURGES = "SELECT stream_id, user_id, seq, at_us FROM {ks}.purges"
_PAYLOAD = "SELECT payload FROM {ks}.items WHERE stream_id = ? AND bucket = ? AND seq = ?"
_AUDIT = """INSERT INTO {ks}.audit (stream_id, seq, at_ms, action, comment_id, user_id, reason) VALUES (?, ?, ?, ?, ?, ?, ?)
USING TIMESTAMP ? AND TTL ?"""
_RECORDS = "SELECT revision, record FROM {ks}.streams"
_RECORDED = """INSERT INTO {ks}.streams_by_status (status, month, stream_id, record) VALUES ('recorded', ?, ?, ?)
USING TIMESTAMP ?"""
#: Table -> the table that takes its place, its columns, and the one that is its write time.
_FORMER = {
    "archived": ("watermarks", "log, through", "through"),
    "streams": ("records", "stream_id, revision, record", "revision"),
    "streams_by_status": ("listings", "status, month, stream_id, record", "writetime(record)"),
}
_CREATOR = "INSERT INTO {ks}.streams_by_creator (creator, stream_id) VALUES (?, ?)"


def records(session: Session, address: Address) -> Iterator[None]:
    """Whose each stream is, and which have a recording."""
    create, enter = (_prepared(session, address, each) for each in (_CREATOR, _RECORDED))
    for row in session.execute(_RECORDS.replace("{ks}", address.keyspace)):
        record = msgspec.json.decode(row.record, type=StreamRecord)
        session.execute(create, (record.broadcaster.id, record.stream_id))
        if record.recording is not None:
            session.execute(enter, (places.month_of(record.stream_id), record.stream_id, row.record, row.revision))
        yield


def spoke(session: Session, address: Address) -> Iterator[None]:
    """Who spoke in which stream."""
    keys, insert, month = (_prepared(session, address, each) for each in (_KEYS, _SPOKE, _MONTH))
    for place in session.execute(_PARTS.replace("{ks}", address.keyspace)):
        spoken: dict[str, int] = {}
        for number, row in enumerate(session.execute(keys, (place.stream_id, place.part))):
            user_id = row.key[1:]
            spoken[user_id] = max(spoken.get(user_id, 0), row.at_us)
            if number % PAGE == 0:
                yield
        day = places.day_of(place.stream_id)
        rows = [
            (day, places.person_of(user_id), user_id, place.stream_id, at_us, 2 * address.ttl_s)
            for user_id, at_us in spoken.items()
        ]
        _write(session, insert, rows)
        if rows:
            session.execute(month, (day // places.MONTH_DAYS,))
        yield


def audit(session: Session, address: Address) -> Iterator[None]:
    """What was decided in every stream."""
    insert, payload = (_prepared(session, address, each) for each in (_AUDIT, _PAYLOAD))
    rows: list[tuple[object, ...]] = []
    for row in session.execute(_DECISIONS.replace("{ks}", address.keyspace)):
        # What a purge decided on a comment is listed there too; the purge itself is among the purges.
        if row.kind != PURGED:
            action, reason = ("restored", "") if row.kind == RESTORED else ("removed", row.kind.removeprefix(REMOVED))
            rows.append((row.stream_id, row.seq, row.at_us // 1000, action, row.comment_id, "", reason, row.at_us))
        if len(rows) == PAGE:
            _write(session, insert, _living(address, rows))
            rows.clear()
            yield
    for row in session.execute(_PURGES.replace("{ks}", address.keyspace)):
        held = session.execute(payload, (row.stream_id, places.bucket_of(row.seq), row.seq)).one()
        item = codec.decode_item(held.payload) if held is not None and held.payload else None
        reason = item.reason if isinstance(item, Purged) else ""
        rows.append((row.stream_id, row.seq, row.at_us // 1000, "purged", "", row.user_id, reason, row.at_us))
        yield
    _write(session, insert, _living(address, rows))


def timed(session: Session, address: Address) -> Iterator[None]:
    """What was written at the time its number makes as microseconds, years ahead; a table that is gone was done before."""
    asked = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"
    there = {row.table_name for row in session.execute(asked, (address.keyspace,))}
    for former in there & _FORMER.keys():
        table, columns, number = _FORMER[former]
        marks = ", ".join("?" * (columns.count(",") + 1))
        insert = _prepared(session, address, f"INSERT INTO {{ks}}.{table} ({columns}) VALUES ({marks}) USING TIMESTAMP ?")  # noqa: S608 - names of ours
        rows: list[tuple[object, ...]] = []
        for row in session.execute(f"SELECT {columns}, {number} AS number FROM {address.keyspace}.{former}"):  # noqa: S608 - names of ours
            *values, written = row
            rows.append((*values, places.write_time(written)))
            if len(rows) == PAGE:
                _write(session, insert, rows)
                rows.clear()
                yield
        _write(session, insert, rows)
        yield


def _living(address: Address, rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [(*row, 2 * address.ttl_s) for row in rows]


def _prepared(session: Session, address: Address, statement: str) -> PreparedStatement:
    return session.prepare(statement.replace("{ks}", address.keyspace))


def _write(session: Session, statement: PreparedStatement, rows: Iterable[tuple[object, ...]]) -> None:
    execute_concurrent_with_args(session, statement, list(rows), concurrency=WRITERS)
