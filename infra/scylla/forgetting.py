"""A stream leaves the keyspace: whole partitions, by tombstones that are newer than any event of it."""

import time

from infra.scylla import places
from infra.scylla.database import Database, Row

_BUCKETS = "SELECT bucket FROM {ks}.buckets WHERE stream_id = ?"
_BY_BUCKET = ("items", "tallies")
_BY_STREAM = ("decisions", "purges", "audit", "erased")
PAGE = 1000
_SPOKE = f"SELECT user_id, stream_id FROM {{ks}}.spoke WHERE day = ? AND part = ? AND user_id > ? LIMIT {PAGE}"  # noqa: S608 - our own constant
_UNSPOKEN = "DELETE FROM {ks}.spoke USING TIMESTAMP ? WHERE day = ? AND part = ? AND user_id = ? AND stream_id = ?"
_LAST = "DELETE FROM {ks}.buckets USING TIMESTAMP ? WHERE stream_id = ?"


async def forget(database: Database, stream_id: str, until_ms: int) -> None:
    """Delete all rows of *stream_id*. Idempotent. What names the buckets goes last, so that whoever begins anew finds them.

    Raises:
        infra.errors.Unavailable: any part of it may be done; do it again.
    """
    # Rows have their events' times, and counts the time at which they were counted.
    until_us = max((until_ms + 1) * 1000, time.time_ns() // 1000)
    rows: list[Row] = []
    buckets = [row.bucket for row in await database.read(_BUCKETS, stream_id)]
    for table in _BY_BUCKET:
        statement = await database.prepare(f"DELETE FROM {{ks}}.{table} USING TIMESTAMP ? WHERE stream_id = ? AND bucket = ?")  # noqa: S608 - our own names
        rows += [Row(statement, (table, stream_id, bucket), (until_us, stream_id, bucket)) for bucket in buckets]
    lookups = await database.prepare("DELETE FROM {ks}.lookups USING TIMESTAMP ? WHERE stream_id = ? AND part = ?")
    rows += [Row(lookups, ("lookups", stream_id, part), (until_us, stream_id, part)) for part in range(places.PARTS)]
    for table in _BY_STREAM:
        statement = await database.prepare(f"DELETE FROM {{ks}}.{table} USING TIMESTAMP ? WHERE stream_id = ?")  # noqa: S608 - our own names
        rows.append(Row(statement, (table, stream_id), (until_us, stream_id)))
    await database.put(rows)
    for part in range(places.PEOPLE):
        await _unspoken(database, stream_id, part, until_us)
    await database.put([Row(await database.prepare(_LAST), ("buckets", stream_id), (until_us, stream_id))])


async def _unspoken(database: Database, stream_id: str, part: int, until_us: int) -> None:
    """Take the stream out of the list of who spoke where: its day is gone through, since no list is by stream."""
    place = (places.day_of(stream_id), part)
    statement = await database.prepare(_UNSPOKEN)
    last = ""
    while True:
        rows = await database.read(_SPOKE, *place, last)
        users = {row.user_id for row in rows if row.stream_id == stream_id}
        if len(rows) == PAGE:
            # The page may have cut their streams off.
            last = rows[-1].user_id
            users.add(last)
        await database.put([Row(statement, place, (until_us, *place, user_id, stream_id)) for user_id in sorted(users)])
        if len(rows) < PAGE:
            return
