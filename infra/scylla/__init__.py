"""The stores on a cluster: a CQL database, be it ScyllaDB or Apache Cassandra.

Owns the connection to the cluster, its keyspace's tables and their migrations. Refuses what only one of the two databases
takes, to hold a thread per request, and to start on a schema that is not this version's.

Nothing here is a transaction. What is written are facts, each of which stands for itself: an item at its (stream, seq), a
decision at its own seq. Facts may arrive in any order and any number of times, and from more than one archive; what they
amount to is judged when they are read. Only totals are derived, by counting anew what is there.

    address.py     where the cluster is and how to speak to it, from the settings
    failures.py    the driver's errors, translated into ours
    refusals.py    why the cluster lets us not in, and the setting to change
    bridge.py      the driver's answers, brought to the event loop many at a time
    cluster.py     the driver's view of the nodes: timeouts, heartbeats, second questions
    suspects.py    which node is asked first, and which last
    retries.py     when another node is asked the same
    notices.py     what the log says of nodes, and how often
    database.py    the connection: reads and writes
    groups.py      which rows go together in one request
    packed.py      values as bytes, without the driver's look-ups for each
    schema.py      the tables, as numbered migrations
    migration.py   applied once and in order, under a lock
    refill.py      what fills a new table from those that were there
    places.py      which partition, block and lookup a thing is in
    facts.py       what a batch of items says, as rows of the tables
    batch.py       one batch, written so that order, repetition and a crash do not matter
    tallies.py     what was counted of a stream, block by block
    lives.py       for how long that holds
    totals.py      how many comments of a stream are shown
    wanted.py      what a page wants of a stream, and where it may be
    outlines.py    where a stream's comments were seen, a guess at where a page lies
    counts.py      what was counted where a page may lie
    walk.py        a stream's rows in order, across its partitions
    forgetting.py  a stream that was deleted
    seqs.py        rows by their seqs, however many
    lookups.py     comments by what else they are found by, many in one question
    comments.py    the CommentStore
    people.py      the PeopleStore
    moderation.py  the ModerationStore
    erasure.py     what is erased for good
    streams.py     the StreamStore
"""

from infra.scylla.address import Address
from infra.scylla.comments import ScyllaComments
from infra.scylla.database import Database
from infra.scylla.migration import migrate
from infra.scylla.moderation import ScyllaModeration
from infra.scylla.people import ScyllaPeople
from infra.scylla.streams import ScyllaStreams

__all__ = ["Address", "Database", "ScyllaComments", "ScyllaModeration", "ScyllaPeople", "ScyllaStreams", "migrate"]
