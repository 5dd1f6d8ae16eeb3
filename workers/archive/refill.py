"""What the log still has and the store lost: it was restored from a backup, moved away, or cut off from its last seconds.

The consumer says what was once committed: everything up to its ack floor, and above it what was acknowledged out of order.
Where the store says less, the log is read again from there; each batch is committed with its own watermark, so an interrupted
refill goes on where it was.
"""

from collections.abc import Mapping, Sequence

from infra.errors import Refused, Unavailable
from infra.jetstream.reader import LogMessage, Reader
from infra.stores import CommentStore, LoggedItem
from infra.telemetry import logs
from schemas import codec, subjects

log = logs.get(__name__)


def logged_item(log_name: str, message: LogMessage) -> LoggedItem:
    """Read one message of a live log.

    Raises:
        ValueError: its subject or payload is none of ours (`msgspec.MsgspecError` is one); says what is wrong.
    """
    if len(message.payload) > codec.MAX_ITEM_BYTES:
        text = f"{len(message.payload)} bytes, an item has at most {codec.MAX_ITEM_BYTES}"
        raise ValueError(text)
    _, stream_id = subjects.parse_live(message.subject)
    return LoggedItem(
        log=log_name,
        stream_id=stream_id,
        seq=message.seq,
        at_ms=message.at_ms,
        payload=message.payload,
        item=codec.decode_item(message.payload),
        msg_id=message.msg_id,
    )


async def refill(
    reader: Reader, store: CommentStore, shard: int, *, after: int, committed: int, until: int, batch: int
) -> None:
    """Write what the log has with `after < seq <= until`; everything up to *committed* was acknowledged without a hole.

    The mark moves no further than *committed*: above it somebody may hold a message that cannot be read, or is refused.

    Raises:
        Unavailable: log or store; call again with the store's new watermark.
    """
    log_name = subjects.live_log(shard)
    if after < committed:
        log.warning("store is behind its log, reading again", log=log_name, after=after, until=until)
    else:
        log.info("reading again what may be acknowledged and not stored", log=log_name, after=after, until=until)
    while after < until:
        messages = await reader.range(log_name, subjects.all_live(shard), after, until, batch)
        items = _readable(log_name, messages)
        after = messages[-1].seq if messages else until
        mark = {log_name: min(after, committed)}
        if (cause := await _refusal(store, items, mark)) is not None:
            await _without_refused(reader, store, shard, items, cause)
            await store.write([], mark)
    log.info("read again", log=log_name, until=until)


def _readable(log_name: str, messages: Sequence[LogMessage]) -> list[LoggedItem]:
    items = []
    for message in messages:
        try:
            items.append(logged_item(log_name, message))
        except ValueError as error:
            # It is in the dead-letter log, or will be when it is offered again.
            log.warning("unreadable item skipped", log=log_name, seq=message.seq, cause=str(error))
    return items


async def _refusal(store: CommentStore, items: Sequence[LoggedItem], mark: Mapping[str, int]) -> Exception | None:
    """Write *items*; why they are not taken, where that may be an item's own fault (`workers.apart` tells what that is)."""
    try:
        await store.write(items, mark)
    except Refused as error:
        return error
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - said by the caller, for the item that it stands alone with
        return error
    return None


async def _without_refused(
    reader: Reader, store: CommentStore, shard: int, items: Sequence[LoggedItem], cause: Exception
) -> None:
    """Write what of *items* is taken. What is not is dead-lettered, or held by whoever will find that it has to be.

    Raises:
        Unavailable: nothing is taken at the moment, not even the log's newest item, which anybody may write at any time.
    """
    log_name = subjects.live_log(shard)
    refused: dict[int, Exception] = {}
    parts = [list(items)]
    while parts:
        part = parts.pop()
        failure = await _refusal(store, part, {})
        if failure is not None and len(part) == 1:
            refused[part[0].seq] = failure
        elif failure is not None:
            parts += [part[: len(part) // 2], part[len(part) // 2 :]]
    if len(refused) == len(items):
        newest = await reader.last(log_name, subjects.all_live(shard))
        proof = _readable(log_name, [newest]) if newest is not None and newest.seq not in refused else []
        if not proof or await _refusal(store, proof, {}) is not None:
            msg = f"nothing of what is read again is taken: {cause}"
            raise Unavailable(msg) from cause
    for seq, failure in refused.items():
        log.warning("item that the store does not take skipped", log=log_name, seq=seq, cause=repr(failure))
