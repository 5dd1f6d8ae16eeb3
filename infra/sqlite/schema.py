"""The tables. `MIGRATIONS[n]` brings a file from `user_version` n to n + 1; what was released is never edited.

A stream id is kept once, in `tally`, and stands as a small number in every row and index: 701 against 891 bytes for a
comment of 350, and 27k against 21k rows/s. `items` has no rowid: a page is one walk along its primary key.

`items.removed` is derived: `verdicts` and `purges` remember every removal, also of comments that have not arrived yet.
`decisions` has each removal, restore and purge by itself, as moderators ask for them. An erased row stays in `items`, empty,
and is listed in `erased`.
`items_comments` is what a page walks: a sweep leaves ten thousand removals in a row (1.6 ms for a page before which they lie,
against 0.08), and an offset of 10,000 passes over index entries instead of comments (0.4 against 8 ms). It has the
comment's id only so that the walk need not look at the rows. It takes 37 bytes a comment.
`spans` bounds the walk of a question about time, exactly, whatever the clock did: the seqs of the comments of each 4 s
(`FINE` bits of milliseconds) and 17 min (`COARSE`), so that neither a stream of a month nor a thousand comments a
second make it long.
`ranks` says how many comments lie before each 128 seqs: an offset is a jump (`ranks.py`). It takes a byte a comment.
"""

from infra.sqlite import ranks

#: Who a record's stream belongs to, as it stands in an index; nobody's where there is no record.
CREATOR = "CASE WHEN record <> x'' THEN json_extract(CAST(record AS TEXT), '$.broadcaster.id') END"
#: Whether it has a recording.
RECORDED = "CASE WHEN record <> x'' THEN json_type(CAST(record AS TEXT), '$.recording') = 'object' END"

FINE, COARSE = 12, 20

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE tally (
            no INTEGER PRIMARY KEY, stream_id TEXT NOT NULL UNIQUE, comments INTEGER NOT NULL DEFAULT 0
        )""",
        """CREATE TABLE items (
            no INTEGER NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, payload BLOB NOT NULL, msg_id TEXT,
            comment_id TEXT, parent_id TEXT, user_id TEXT, removed TEXT,
            PRIMARY KEY (no, seq)
        ) WITHOUT ROWID""",
        "CREATE INDEX items_by_comment ON items (no, comment_id) WHERE comment_id IS NOT NULL",
        "CREATE INDEX items_by_msg_id ON items (no, msg_id) WHERE msg_id IS NOT NULL",
        "CREATE INDEX items_by_parent ON items (no, parent_id, seq) WHERE parent_id IS NOT NULL",
        "CREATE INDEX items_by_user ON items (no, user_id, seq) WHERE user_id IS NOT NULL",
        "CREATE INDEX items_removed ON items (no, comment_id, removed) WHERE removed IS NOT NULL",
        """CREATE TRIGGER items_added AFTER INSERT ON items WHEN new.comment_id IS NOT NULL AND new.removed IS NULL
        BEGIN UPDATE tally SET comments = comments + 1 WHERE no = new.no; END""",
        """CREATE TRIGGER items_changed AFTER UPDATE OF comment_id, removed ON items
        BEGIN
            UPDATE tally SET comments = comments
                + (new.comment_id IS NOT NULL AND new.removed IS NULL)
                - (old.comment_id IS NOT NULL AND old.removed IS NULL)
            WHERE no = new.no;
        END""",
        """CREATE TABLE verdicts (
            no INTEGER NOT NULL, comment_id TEXT NOT NULL,
            removed_seq INTEGER NOT NULL DEFAULT 0, reason TEXT, restored_seq INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (no, comment_id)
        ) WITHOUT ROWID""",
        """CREATE TABLE purges (
            no INTEGER NOT NULL, user_id TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (no, user_id)
        ) WITHOUT ROWID""",
        """CREATE TABLE minutes (
            no INTEGER NOT NULL, minute INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
            PRIMARY KEY (no, minute)
        ) WITHOUT ROWID""",
        "CREATE TABLE archived (log TEXT PRIMARY KEY, through INTEGER NOT NULL) WITHOUT ROWID",
        """CREATE TABLE streams (
            stream_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, status TEXT NOT NULL, record BLOB NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX streams_by_status ON streams (status, stream_id)",
    ),
    # A batch counts what it adds (`batch.py`); what changes a row still changes the tally by itself.
    ("DROP TRIGGER items_added",),
    # What was decided, for moderators; and what is erased for good.
    (
        """CREATE TABLE decisions (
            no INTEGER NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, action TEXT NOT NULL,
            comment_id TEXT, user_id TEXT, reason TEXT, PRIMARY KEY (no, seq)
        ) WITHOUT ROWID""",
        "CREATE INDEX decisions_by_comment ON decisions (no, comment_id) WHERE comment_id IS NOT NULL",
        """INSERT INTO decisions
        SELECT no, seq, at_ms, action, coalesce(json_extract(item, '$.comment_id'), json_extract(item, '$.comment.comment_id')),
            json_extract(item, '$.user_id'), json_extract(item, '$.reason')
        FROM (
            SELECT no, seq, at_ms, CAST(payload AS TEXT) AS item, json_extract(CAST(payload AS TEXT), '$.type') AS action
            FROM items WHERE comment_id IS NULL
        ) WHERE action IN ('removed', 'restored', 'purged')""",
        """CREATE TABLE erased (
            no INTEGER NOT NULL, seq INTEGER NOT NULL, comment_id TEXT, PRIMARY KEY (no, seq)
        ) WITHOUT ROWID""",
        "CREATE INDEX erased_by_comment ON erased (no, comment_id) WHERE comment_id IS NOT NULL",
        """CREATE TABLE reactions (
            stream_id TEXT NOT NULL, name TEXT NOT NULL, total INTEGER NOT NULL, PRIMARY KEY (stream_id, name)
        ) WITHOUT ROWID""",
        f"CREATE INDEX streams_by_creator ON streams ({CREATOR}, stream_id)",
        f"CREATE INDEX streams_recorded ON streams (stream_id) WHERE {RECORDED}",
    ),
    # Pages that lie anywhere.
    (
        "CREATE INDEX items_comments ON items (no, seq, at_ms, comment_id) WHERE comment_id IS NOT NULL",
        """CREATE TABLE spans (
            no INTEGER NOT NULL, width INTEGER NOT NULL, span INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
            PRIMARY KEY (no, width, span)
        ) WITHOUT ROWID""",
        *(
            f"INSERT INTO spans SELECT no, {width}, at_ms >> {width}, min(seq), max(seq) FROM items INDEXED BY items_comments "  # noqa: S608 - our own numbers
            "WHERE comment_id IS NOT NULL GROUP BY 1, 2, 3"
            for width in (FINE, COARSE)
        ),
        "DROP TABLE minutes",
    ),
    # Offsets.
    (
        """CREATE TABLE ranks (
            no INTEGER NOT NULL, block INTEGER NOT NULL, comments INTEGER NOT NULL, before INTEGER NOT NULL,
            PRIMARY KEY (no, block)
        ) WITHOUT ROWID""",
        "CREATE INDEX ranks_in_order ON ranks (no, before)",
        ranks.FILL,
    ),
    # No question goes by it.
    ("DROP INDEX items_removed",),
)
