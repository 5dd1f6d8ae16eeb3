"""A stream leaves the keyspace: whole partitions, by tombstones that are newer than any event of it."""

from infra.scylla import places
from infra.scylla.database import Database, Row

_BUCKETS = "SELECT bucket FROM {ks}.buckets WHERE stream_id = ?"
_BY_BUCKET = ("items", "tallies")
_BY_STREAM = ("decisions", "purges")
_LAST = "DELETE FROM {ks}.buckets WHERE stream_id = ?"


async def forget(database: Database, stream_id: str) -> None:
    """Delete all rows of *stream_id*. Idempotent. What names the buckets goes last, so that whoever begins anew finds them.

    Raises:
        infra.errors.Unavailable: any part of it may be done; do it again.
    """
    rows: list[Row] = []
    buckets = [row.bucket for row in await database.read(_BUCKETS, stream_id)]
    for table in _BY_BUCKET:
        statement = await database.prepare(f"DELETE FROM {{ks}}.{table} WHERE stream_id = ? AND bucket = ?")  # noqa: S608 - our own names
        rows += [Row(statement, (table, stream_id, bucket), (stream_id, bucket)) for bucket in buckets]
    lookups = await database.prepare("DELETE FROM {ks}.lookups WHERE stream_id = ? AND part = ?")
    rows += [Row(lookups, ("lookups", stream_id, part), (stream_id, part)) for part in range(places.PARTS)]
    for table in _BY_STREAM:
        statement = await database.prepare(f"DELETE FROM {{ks}}.{table} WHERE stream_id = ?")  # noqa: S608 - our own names
        rows.append(Row(statement, (table, stream_id), (stream_id,)))
    await database.put(rows)
    await database.put([Row(await database.prepare(_LAST), ("buckets", stream_id), (stream_id,))])
