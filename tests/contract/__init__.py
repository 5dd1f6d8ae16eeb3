"""What every implementation of a contract has to keep: one class of tests per contract, run against each of them.

comment_store.py         the promises of a comment store
pages.py                 of its pages, threads and ranges
replays.py               about logs that come again
erasures.py              about what is erased for good
stream_store.py          the promises of a stream store
people.py                of what is known of people, and of moderation
object_store.py          the promises of a home of objects
histories.py             histories, and what they must read as
rows.py                  all rows of a store, to the byte
memory.py                how much memory a large object takes
scylla_backend.py        a keyspace for each worker of a run
killed_writer.py         a process that is killed while it writes a batch
killed_scylla_writer.py  the same on CQL
killed_putter.py         one that is killed while it puts objects
"""
