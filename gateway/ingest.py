"""What a stream's encoder sends, for its creator and moderators: the last event of the media log tells."""

import msgspec
from msgspec import structs

from gateway.app import Deps
from infra.errors import Unavailable
from schemas import subjects
from schemas.api import StreamIngest
from schemas.items import Time
from schemas.media import Ingest
from schemas.records import StreamRecord


class _Event(msgspec.Struct):
    """What is read of an event, of whatever type."""

    type: str
    at: Time
    ingest: Ingest | None = None


async def of(deps: Deps, record: StreamRecord) -> StreamIngest | None:
    """The encoder of *record*'s stream; `None` when there never was one, the stream has ended, or nobody can tell. One read."""
    if record.status != "live":
        return None
    try:
        last = await deps.reader.last(subjects.MEDIA_LOG, subjects.media(record.stream_id))
    except Unavailable:
        return None
    if last is None:
        return None
    event = msgspec.json.decode(last.payload, type=_Event)
    if event.ingest is None:
        return None
    found = StreamIngest(at=event.at, **structs.asdict(event.ingest))
    # A worker that was killed told nothing more; its encoder's return is told before viewers see it.
    if record.video == "interrupted" and event.type != "ingest_started":
        return structs.replace(found, state="away")
    return found
