"""What the log still has and the store lost: it was restored from a backup, or moved away because its disk died.

The consumer's ack floor says what was once committed. Where the store says less, the log is read again from there; each
batch is committed with its own watermark, so an interrupted refill goes on where it was.
"""

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


async def refill(reader: Reader, store: CommentStore, shard: int, *, after: int, until: int, batch: int) -> None:
    """Write what the log has with `after < seq <= until`; everything up to *until* was committed before.

    Raises:
        Unavailable: log or store; call again with the store's new watermark.
    """
    log_name = subjects.live_log(shard)
    log.warning("store is behind its log, reading again", log=log_name, after=after, until=until)
    while after < until:
        messages = await reader.range(log_name, subjects.all_live(shard), after, until, batch)
        items = []
        for message in messages:
            try:
                items.append(logged_item(log_name, message))
            except ValueError as error:
                # It is in the dead-letter log since it was first delivered.
                log.warning("unreadable item skipped", log=log_name, seq=message.seq, cause=str(error))
        after = messages[-1].seq if messages else until
        await store.write(items, {log_name: after})
