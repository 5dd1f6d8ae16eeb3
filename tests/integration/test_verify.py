"""`ovation verify`: what an archive did is found in order, and whatever is not, by its name."""

import sqlite3
from pathlib import Path

import pytest

from ovation.verify import differences
from schemas.items import Item, Purged
from tests.archives import archive, say
from tests.backends.nats import NatsServer
from tests.broker import broker, fresh_stream
from tests.contract.histories import restored
from tests.factories import comment, removed

pytestmark = pytest.mark.nats


async def test_each_difference_is_named(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Nothing differs after the archive; then a row goes, another is changed, a verdict is turned, one is invented."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "store.sqlite") as running:
        stream_id = fresh_stream()
        items: list[Item] = [comment(n, author="bob" if n == 8 else "ada") for n in range(1, 10)]
        items += [removed(2), removed(3), restored(3), Purged(user_id="bob")]
        seqs = [await say(b, stream_id, item, f"m{n}") for n, item in enumerate(items)]
        await say(b, fresh_stream(), comment(1), "another stream's")
        await running.caught_up()

        async def told() -> list[str]:
            return [line async for line in differences(b.reader, running.comments, 0, stream_id)]

        assert [line.partition(" ")[2].partition(",")[0] for line in await told()] == ["messages compared"]
        assert (await told())[0].startswith("13 ")
        harm = (
            ("DELETE FROM items WHERE seq = ?", seqs[0]),
            ("UPDATE items SET payload = 'else' WHERE seq = ?", seqs[3]),
            ("UPDATE items SET removed = NULL WHERE seq = ?", seqs[1]),
            ("UPDATE items SET removed = 'author' WHERE seq = ?", seqs[2]),
            ("UPDATE items SET removed = NULL WHERE seq = ?", seqs[7]),
        )

        def do_harm(db: sqlite3.Connection) -> None:
            for statement, seq in harm:
                db.execute(statement, [seq])

        await running.database.write(do_harm)
        await b.connection.request("$JS.API.STREAM.MSG.DELETE.LIVE_0", b'{"seq": %d}' % seqs[8])
        lines = await told()

        assert lines[0].startswith(f"{seqs[0]}: in the log and not in the store: ")
        assert lines[1:3] == [
            f"{seqs[1]}: moderator by the log (seq {seqs[9]}), not removed in the store",
            f"{seqs[2]}: not removed by the log (seq {seqs[11]}), author in the store",
        ]
        assert lines[3].startswith(f"{seqs[3]}: payload is b'{{")
        assert lines[3].endswith("'else' in the store")
        assert lines[4] == f"{seqs[7]}: purged by the log (seq {seqs[12]}), not removed in the store"
        assert lines[5].startswith(f"{seqs[8]}: in the store and not in the log: ")
        assert lines[6].startswith("12 messages compared")
        assert len(lines) == 7


async def test_what_is_erased_is_no_difference(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Of what the store has erased for good, one is still in the log and one is not: both are counted, neither differs."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "store.sqlite") as running:
        stream_id = fresh_stream()
        seqs = [await say(b, stream_id, comment(n), f"m{n}") for n in range(1, 6)]
        await running.caught_up()
        await running.comments.erase(stream_id, [seqs[1], seqs[3]], 2**41)
        await b.connection.request("$JS.API.STREAM.MSG.DELETE.LIVE_0", b'{"seq": %d}' % seqs[3])

        lines = [line async for line in differences(b.reader, running.comments, 0, stream_id)]
        assert len(lines) == 1
        assert lines[0].startswith("3 messages compared, 2 erased, seq ")
