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
    database.py    the connection: reads, writes, and batches of one partition each
    schema.py      the tables, as numbered migrations
    migration.py   applied once and in order, under a lock
    places.py      which partition, block and lookup a thing is in
    facts.py       what a batch of items says, as rows of the tables
    batch.py       one batch, written so that order, repetition and a crash do not matter
    tallies.py     what was counted of a stream, block by block
    walk.py        a stream's rows in order, across its partitions
    forgetting.py  a stream that was deleted
    comments.py    the CommentStore
    streams.py     the StreamStore
"""

from infra.scylla.address import Address
from infra.scylla.comments import ScyllaComments
from infra.scylla.database import Database
from infra.scylla.migration import migrate
from infra.scylla.streams import ScyllaStreams

__all__ = ["Address", "Database", "ScyllaComments", "ScyllaStreams", "migrate"]
