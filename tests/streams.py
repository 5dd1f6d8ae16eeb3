"""Streams that wait for their video: their records, and their keys."""

import msgspec

from schemas.records import Broadcaster, StreamRecord, key_digest, new_stream_key
from tests.broker import Broker, fresh_stream


async def new_stream(b: Broker, stream_id: str = "", **fields: object) -> str:
    """Make a stream of Ada's, with *fields* of its record; returns its key."""
    stream_id = stream_id or fresh_stream()
    key = new_stream_key(stream_id)
    record = StreamRecord(
        stream_id=stream_id,
        broadcaster=Broadcaster(id="ada", name="Ada"),
        title="A stream",
        key_sha256=key_digest(key),
        created_at=1,
    )
    await b.records.create(msgspec.structs.replace(record, **fields))
    return key


async def record_of(b: Broker, key: str) -> StreamRecord:
    """The record of *key*'s stream, as it is now."""
    found = await b.records.get(key.partition("_")[0])
    assert found is not None
    return found[0]
