"""Everything that speaks to NATS; nothing outside this package imports nats-py.

Owns the connection, the topology and the ways a log is written, read and followed.
Refuses to create a log with settings of its own: configuration lives in the files of `nats/`.

    connection.py   one connection per process, its readiness and what to do when it comes back
    wire.py         the protocol's parser, which takes answers and the feed's messages out before nats-py sees them
    inbox.py        questions and their answers: one subscription and one timer for all of them
    topology.py     the files of nats/ compared with and applied to a server
    publisher.py    a durable write: PubAck, the same Msg-Id again, or a clear Unavailable
    reader.py       direct get: single messages, ranges and tails of a log, without a consumer
    moments.py      when a log took its messages, read for many at once
    feed.py         the republished copy on core NATS, and the pulse
    pull.py         durable pull consumers for the workers
    deadletter.py   poison messages, bounded
    kv.py           buckets: revision-checked values, followed without a consumer
    erasing.py      what a log has of one stream, erased
    streams.py      the stream records, and the item that tells viewers of each change
    grants.py       follows and invitations: who may watch what is not for everyone
    leases.py       a number held alone while it is renewed; comment ids stamped under one
    streamleases.py which media worker owns which stream
    claims.py       work that one process at a time does
    limits.py       a log that is an exact sliding window
    counters.py     counter logs, each counter split into parts
    tally.py        what is known of a stream's counters, and their sums
"""
