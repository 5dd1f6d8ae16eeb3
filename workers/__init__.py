"""The processes that take from JetStream and give to JetStream, to the store or to files.

Owns the loop every worker runs and what it promises: a message is acknowledged only after its work is durable.
Refuses HTTP and viewers: that is the gateway's; the two never import each other.

    handler.py    what a worker does with a batch, and the three ways a message can end
    apart.py      poison told from an outage
    waiting.py    what a worker waits for, said once
    worker.py     the loop: fetch, handle, settle; poison apart, outages waited for
    archive/      every log to the store
    media/        RTMP in, HLS out
    process.py    composition root of `ovation worker NAME`
"""
