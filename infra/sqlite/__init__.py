"""The stores on one machine: one SQLite file in WAL mode.

Owns the file, its schema and its migrations, and the threads that touch it.
Refuses a file that a newer version wrote (`StoreTooNew`), and to block the event loop.

Whoever opens the file first creates it, schema and all, under SQLite's own write lock: a gateway may start before the
archive. After that only the archive writes; WAL lets everybody read at the same time.

    database.py   the file: one writing thread, a few reading ones, bounded
    schema.py     the tables, as numbered migrations
    failures.py   SQLite's errors, translated into ours
    batch.py      one batch of items, written so that order and repetition do not matter
    forgetting.py a stream that was deleted
    comments.py   the CommentStore
    ranks.py      how many comments lie before each block: an offset is a jump
    lookups.py    comments by the key they were posted under, many in one read
    people.py     the PeopleStore
    moderation.py the ModerationStore
    erasure.py    what is erased for good
    streams.py    the StreamStore
"""

from infra.sqlite.comments import SqliteComments
from infra.sqlite.database import Database
from infra.sqlite.moderation import SqliteModeration
from infra.sqlite.people import SqlitePeople
from infra.sqlite.streams import SqliteStreams

__all__ = ["Database", "SqliteComments", "SqliteModeration", "SqlitePeople", "SqliteStreams"]
