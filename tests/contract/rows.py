"""All rows of all tables of a store, to the byte. Tables are found, not named, so that a new one cannot be forgotten."""

import sqlite3
from pathlib import Path

from infra.scylla import Address
from infra.scylla.cluster import cluster_of

#: What a keyspace has of its migrations; no rows of ours.
NOT_OURS = ("migrations", "locks")
#: Written with the moment at which counting began, since the later count stands; all others with their event's own time.
_COUNTED = ("tallies", "buckets")

#: Table -> its rows, sorted; every column by name, and on a cluster the time it counts as written at.
Rows = dict[str, list[str]]


def of_file(path: Path) -> Rows:
    """Those of a SQLite file."""
    db = sqlite3.connect(path)
    try:
        named = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
        found: Rows = {}
        for (table,) in named.fetchall():
            rows = db.execute(f"SELECT * FROM {table}")  # noqa: S608 - a table of ours
            columns = [column[0] for column in rows.description]
            found[table] = sorted(repr(dict(zip(columns, row, strict=True))) for row in rows)
        return found
    finally:
        db.close()


def of_keyspace(address: Address) -> Rows:
    """Those of a keyspace. Blocks."""
    cluster = cluster_of(address)
    try:
        session = cluster.connect()
        tables: dict[str, list[str]] = {}
        asked = "SELECT table_name, column_name, kind, type FROM system_schema.columns WHERE keyspace_name = %s"
        for each in session.execute(asked, (address.keyspace,)):
            columns = tables.setdefault(each.table_name, [])
            columns.append(each.column_name)
            # A map's entries have times of their own, which CQL does not tell; they name their seqs.
            if each.kind == "regular" and "<" not in each.type and each.table_name not in _COUNTED:
                columns.append(f"writetime({each.column_name})")
        found: Rows = {}
        for table in sorted(tables.keys() - set(NOT_OURS)):
            columns = sorted(tables[table])
            rows = session.execute(f"SELECT {', '.join(columns)} FROM {address.keyspace}.{table}", timeout=30)  # noqa: S608 - of ours
            found[table] = sorted(repr(dict(zip(columns, map(_plain, row), strict=True))) for row in rows)
        return found
    finally:
        cluster.shutdown()


def _plain(value: object) -> object:
    # The driver's map has a form of its own.
    return sorted(value.items()) if hasattr(value, "items") else value
