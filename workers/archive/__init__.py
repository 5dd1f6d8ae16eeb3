"""The archive: every live log and the stream records, into the store. It is the store's only writer.

Owns what `archived_through` promises: everything of the log up to it is in the store or dead-lettered.
Refuses to acknowledge before the commit, to drop anything while the disk is full, and to guess.

    watermark.py   how far a log is archived without a hole, from deliveries that may be lost or repeated
    live.py        a live log's items, one transaction a batch
    refill.py      what the log still has and the store lost
    records.py     stream records, and the item a writer that died could not publish
    erasure.py     what a deleted stream leaves
    lag.py         how much is not archived yet, and the alarm before the log loses it
    pace.py        how fast the store takes it, and what is said when that is too slow
    run.py         all of them together, as one part of a process
"""
