"""The tables. `MIGRATIONS[n]` brings a keyspace from version n to n + 1; what was released is never edited.

Only what ScyllaDB and Cassandra both take: no counters, no materialized views, no secondary indexes.

A partition of `items` is 65,536 seqs of one stream (`places.BUCKET`): at most 23 MB of comments, however fast they come, and a
cursor alone names it. `buckets` names those that hold anything, so that a quiet stream's pages skip the others.
`decided` is what was decided on a comment, each decision under its own seq: columns that only ever gain
entries need no order. An entry names its comment too, since a log that lost its last second may give a seq again.

`watermarks`, `records` and `listings` have write times that the seqs and revisions make (`places.write_time`).
`spoke` lists in which streams a person spoke, `audit` what moderators decided, `erased` what is gone for good (`erasure.py`).
Compaction: time windows where rows end by their TTL, some 30 of them; levels where rows are written again and again; the
default where neither is so (decisions and erasures, that are kept for ever; records).
`lookups` finds comments by id, key, parent and author: one table, since rows that share a partition share a write.
A row made at its event's time keeps that time as its write time, so that time windows of compaction hold what they say.
"""

from collections.abc import Callable, Iterator

from cassandra.cluster import Session

from infra.scylla import refill
from infra.scylla.address import Address

_WINDOWS = (
    "compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', 'compaction_window_size': '1'}"
)
#: The same with windows that suit how long rows are kept.
_FITTING = _WINDOWS.replace("'1'", "'{days}'")
_COUNTED = "comments bigint, shown bigint, high_seq bigint, low_ms bigint, high_ms bigint"

#: What a page, a post or a list asks, by the names that the fourth migration knew. A replica that has not answered within
#: `PATIENCE_MS` is not waited for: the coordinator asks another. Cassandra's own bound is what 99 % of a table's reads took
#: lately, and 2.5 s of a table nobody has read yet: a node that is killed is believed in for 10 to 20 s, and two reads of three
#: waited for it that long.
ASKED = ("archived", "buckets", "tallies", "items", "lookups", "decisions", "streams")
PATIENCE_MS = 50

#: What the migrations themselves need: which were applied, and the lock under which they are.
BOOTSTRAP = (
    "CREATE TABLE IF NOT EXISTS {ks}.migrations (name text, version int, applied_at bigint, PRIMARY KEY (name, version))",
    "CREATE TABLE IF NOT EXISTS {ks}.locks (name text PRIMARY KEY, owner text)",
)

#: A statement, or what fills new tables from old ones; it yields now and then, so that the lock is renewed.
Step = str | Callable[[Session, Address], Iterator[None]]

#: Seconds for a change of a table, which all nodes agree on.
ALTER_S = 60.0


def _wider(table: str, column: str) -> Step:
    """Give a table one more column of numbers. A migration that broke off may have done so."""

    def step(session: Session, address: Address) -> Iterator[None]:
        asked = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = %s AND table_name = %s"
        if column not in {row.column_name for row in session.execute(asked, (address.keyspace, table))}:
            session.execute(f"ALTER TABLE {address.keyspace}.{table} ADD {column} bigint", timeout=ALTER_S)
        yield

    return step


MIGRATIONS: tuple[tuple[Step, ...], ...] = (
    (
        f"""CREATE TABLE IF NOT EXISTS {{ks}}.items (
            stream_id text, bucket bigint, seq bigint, at_ms bigint, payload blob, msg_id text, comment_id text,
            decided map<bigint, text>, PRIMARY KEY ((stream_id, bucket), seq)
        ) WITH CLUSTERING ORDER BY (seq DESC) AND {_WINDOWS}""",
        f"""CREATE TABLE IF NOT EXISTS {{ks}}.lookups (
            stream_id text, part int, key text, seq bigint, comment_id text, PRIMARY KEY ((stream_id, part), key, seq)
        ) WITH {_WINDOWS}""",
        """CREATE TABLE IF NOT EXISTS {ks}.decisions (
            stream_id text, comment_id text, seq bigint, kind text, at_us bigint, PRIMARY KEY (stream_id, comment_id, seq)
        )""",
        """CREATE TABLE IF NOT EXISTS {ks}.purges (
            stream_id text, user_id text, seq bigint, at_us bigint, PRIMARY KEY (stream_id, user_id, seq)
        )""",
        f"""CREATE TABLE IF NOT EXISTS {{ks}}.tallies (
            stream_id text, bucket bigint, block bigint, {_COUNTED}, PRIMARY KEY ((stream_id, bucket), block)
        )""",
        f"""CREATE TABLE IF NOT EXISTS {{ks}}.buckets (
            stream_id text, bucket bigint, {_COUNTED}, PRIMARY KEY (stream_id, bucket)
        ) WITH CLUSTERING ORDER BY (bucket DESC)""",
        "CREATE TABLE IF NOT EXISTS {ks}.archived (log text PRIMARY KEY, through bigint)",
        "CREATE TABLE IF NOT EXISTS {ks}.streams (stream_id text PRIMARY KEY, revision bigint, record blob)",
        """CREATE TABLE IF NOT EXISTS {ks}.streams_by_status (
            status text, month int, stream_id text, record blob, PRIMARY KEY ((status, month), stream_id)
        ) WITH CLUSTERING ORDER BY (stream_id DESC)""",
        """CREATE TABLE IF NOT EXISTS {ks}.stream_months (
            name text, month int, PRIMARY KEY (name, month)
        ) WITH CLUSTERING ORDER BY (month DESC)""",
    ),
    (
        "CREATE TABLE IF NOT EXISTS {ks}.erased (stream_id text, seq bigint, until_us bigint, PRIMARY KEY (stream_id, seq))",
        """CREATE TABLE IF NOT EXISTS {ks}.spoke (
            day int, part int, user_id text, stream_id text, PRIMARY KEY ((day, part), user_id, stream_id)
        ) WITH CLUSTERING ORDER BY (user_id ASC, stream_id DESC)""",
        """CREATE TABLE IF NOT EXISTS {ks}.audit (
            stream_id text, seq bigint, at_ms bigint, action text, comment_id text, user_id text, reason text,
            PRIMARY KEY (stream_id, seq)
        ) WITH CLUSTERING ORDER BY (seq DESC) AND """
        + _FITTING,
        "ALTER TABLE {ks}.items WITH " + _FITTING,
        "ALTER TABLE {ks}.lookups WITH " + _FITTING,
        # Written again with every batch: levels keep a row in one file or two.
        """ALTER TABLE {ks}.tallies WITH compaction = {'class': 'LeveledCompactionStrategy'}""",
        """ALTER TABLE {ks}.buckets WITH compaction = {'class': 'LeveledCompactionStrategy'}""",
        """CREATE TABLE IF NOT EXISTS {ks}.reactions (
            stream_id text, name text, total bigint, PRIMARY KEY (stream_id, name)
        )""",
        """CREATE TABLE IF NOT EXISTS {ks}.streams_by_creator (
            creator text, stream_id text, PRIMARY KEY (creator, stream_id)
        ) WITH CLUSTERING ORDER BY (stream_id DESC)""",
        refill.spoke,
        refill.audit,
        refill.records,
    ),
    (_wider("tallies", "first_seq"), _wider("tallies", "last_seq")),
    tuple(f"ALTER TABLE {{ks}}.{table} WITH speculative_retry = '{PATIENCE_MS}ms'" for table in ASKED),
    (
        f"""CREATE TABLE IF NOT EXISTS {{ks}}.watermarks (log text PRIMARY KEY, through bigint)
        WITH speculative_retry = '{PATIENCE_MS}ms'""",
        f"""CREATE TABLE IF NOT EXISTS {{ks}}.records (stream_id text PRIMARY KEY, revision bigint, record blob)
        WITH speculative_retry = '{PATIENCE_MS}ms'""",
        """CREATE TABLE IF NOT EXISTS {ks}.listings (
            status text, month int, stream_id text, record blob, PRIMARY KEY ((status, month), stream_id)
        ) WITH CLUSTERING ORDER BY (stream_id DESC)""",
        refill.timed,
        *(f"DROP TABLE IF EXISTS {{ks}}.{table}" for table in ("archived", "streams", "streams_by_status")),
    ),
)
