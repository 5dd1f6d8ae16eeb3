"""Where a replay begins: its position in the log, its time, and what it is told at once."""

from msgspec import Struct

from gateway.fanout.audience import Audience
from gateway.replay.request import ReplayRequest
from gateway.shown import Shown
from schemas.records import StreamRecord

#: Items looked at in one read, on the way from the last comment before a time to the last item before it.
STEP = 200


class Start(Struct, frozen=True):
    """What follows `position` plays from `from_ms` on. `reset` is the range that is told as lost first, if any."""

    position: int
    from_ms: int
    #: The seq before the first of `items`; `None` for a resume, which is told nothing at once.
    previous: int | None = None
    items: tuple[Shown, ...] = ()
    reset: tuple[int, int] | None = None


def bounds(record: StreamRecord, now_ms: int) -> tuple[int, int]:
    """The recorded time of the stream's beginning, and of its end or, while it has none, the present."""
    begins = record.started_at or record.created_at
    return begins, max(begins, record.ended_at or now_ms)


async def find(audience: Audience, asked: ReplayRequest, now_ms: int) -> Start:
    """Find where what is *asked* begins.

    Raises:
        Unavailable: log or store does not answer.
    """
    record, history = audience.record, audience.history
    if asked.last_id is not None:
        if (lost := await _lost(audience, asked.last_id)) is not None:
            start = await _begin(audience, asked, now_ms)
            lost_from, lost_to = lost
            position = max(start.position, lost_to)
            return Start(position, start.from_ms, reset=(min(lost_from, position), position))
        begins, ends = bounds(record, now_ms)
        shown, _ = await history.newest(record, asked.last_id, 1, audience.windower.removals)
        at_ms = max(begins, shown[-1].at_ms) if shown else begins
        if asked.from_ms is not None or asked.from_seq is not None:
            at_ms = max(at_ms, (await _moment(audience, asked, now_ms)))
        return Start(asked.last_id, min(at_ms, ends))
    return await _begin(audience, asked, now_ms)


async def _begin(audience: Audience, asked: ReplayRequest, now_ms: int) -> Start:
    """As asked by time or seq, whatever position was brought."""
    record, history, removals = audience.record, audience.history, audience.windower.removals
    from_ms = await _moment(audience, asked, now_ms)
    if asked.from_seq is not None:
        until = min(max(0, asked.from_seq - 1), audience.position)
    elif asked.from_ms is not None:
        until = await _last_before(audience, from_ms)
    else:
        return Start(0, from_ms, 0)
    items, previous = await history.newest(record, until, max(1, asked.backfill), removals)
    position = items[-1].seq if items else previous
    if not asked.backfill:
        return Start(position, from_ms, position)
    return Start(position, from_ms, previous, tuple(items))


async def _moment(audience: Audience, asked: ReplayRequest, now_ms: int) -> int:
    """The recorded time that is asked for, within the stream's own."""
    begins, ends = bounds(audience.record, now_ms)
    if asked.from_ms is not None:
        return min(max(asked.from_ms, begins), ends)
    if asked.from_seq is None:
        return begins
    after = max(0, asked.from_seq - 1)
    found, _ = await audience.history.range(audience.record, after, audience.position, 1, audience.windower.removals)
    return min(max(found[0].at_ms, begins), ends) if found else ends


async def _last_before(audience: Audience, at_ms: int) -> int:
    """The seq of the last item that the log took before *at_ms*; 0 when there is none.

    Only comments can be asked for by time: from the last of them on the few items of other kinds are looked at one by one.
    """
    record, history = audience.record, audience.history
    found = await history.comments(record, after=0, before=None, descending=True, limit=1, to_ms=at_ms)
    position = found[0].seq if found else 0
    while position < audience.position:
        items, _ = await history.range(record, position, audience.position, STEP, audience.windower.removals)
        before = [item.seq for item in items if item.at_ms < at_ms]
        position = before[-1] if before else position
        if len(before) < STEP:
            break
    return position


async def _lost(audience: Audience, last_id: int) -> tuple[int, int] | None:
    """The least that is lost to who brings a position of another log than this stream's; `None` where it is of this one.

    The positions of a stream that is older than its log, which was made anew, are good as long as the store has it.
    """
    record, history, removals = audience.record, audience.history, audience.windower.removals
    if last_id > audience.position:
        state = await history.fresh_state(record)
        return (1, 0) if last_id > max(state.last, audience.position) else None
    incarnation = (await history.state(record)).incarnation
    if not 0 < last_id < incarnation or (await history.newest(record, last_id, 1, removals))[0]:
        return None
    first, _ = await history.range(record, last_id, audience.position, 1, removals)
    return last_id + 1, min(incarnation, first[0].seq if first else incarnation) - 1
