"""A stream whose log and store are real, and whose boundary the test moves: also between any two reads of one question.

The model is plain: everything that was said, which of it the log still has, which of it the store has, and by that what must
be read. The archive is a hand that takes from the log; the log's age is a hand that purges it.
"""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from gateway.history import History
from gateway.shown import Shown
from infra.jetstream.reader import Reader
from infra.sqlite import Database, SqliteComments
from infra.stores import CommentStore, LoggedItem
from schemas import codec, subjects
from schemas.items import Comment, Item, Purged, Removed, Restored
from schemas.records import Broadcaster, StreamRecord
from tests.broker import Broker, broker, fresh_stream
from tests.factories import comment

LOG = subjects.live_log(0)
PEOPLE = ("ada", "bob", "eve")
#: What a reader is told of an item: where it is and, of a comment that is gone, why.
Told = tuple[int, str | None]


class Said(Struct, frozen=True):
    """An item that the log took."""

    seq: int
    at_ms: int
    item: Item
    stream_id: str
    msg_id: str


class _Moving:
    """What it stands before, with the boundary's next move before and after each question."""

    def __init__(self, real: object, move: Callable[[], Awaitable[None]]) -> None:
        self._real = real
        self._move = move

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def ask(*values: object, **named: object) -> object:
            await self._move()
            answer = await getattr(self._real, name)(*values, **named)
            await self._move()
            return answer

        return ask


class Hanging:
    """What it stands before; once `hangs` is set it answers nothing, and is not heard to refuse either."""

    def __init__(self, real: CommentStore) -> None:
        """Answers as *real* does, until it hangs."""
        self._real = real
        self.hangs = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def ask(*values: object, **named: object) -> object:
            if self.hangs:
                await asyncio.Event().wait()
            return await getattr(self._real, name)(*values, **named)

        return ask


def told(page: Sequence[Shown]) -> list[Told]:
    """What matters of each."""
    return [(item.seq, item.removed) for item in page]


class Boundary:
    """One stream. `moves` are made one by one between the reads of what is asked; none are made while it is empty."""

    def __init__(self, broker: Broker, store: CommentStore, seed: int) -> None:
        self.broker, self.store = broker, store
        self.chance = random.Random(seed)
        self.record = StreamRecord(
            stream_id=fresh_stream(), broadcaster=Broadcaster(id="ada", name="Ada"), title="t", key_sha256="", created_at=1
        )
        self.said: list[Said] = []
        self.in_store: set[int] = set()
        self.through = self.first = 0
        self.moves: list[Callable[[], Awaitable[None]]] = []
        self._numbers = iter(range(1, 10**6))

    def history(self) -> History:
        """A gateway's view that has seen nothing yet."""
        store = cast("CommentStore", _Moving(self.store, self._move))
        return History(store, cast("Reader", _Moving(self.broker.reader, self._move)), self.broker.clock)

    async def begin(self) -> None:
        """The log as it is when the stream begins: all archived."""
        self.first = (await self.say(Purged(user_id="nobody"), elsewhere=True)) + 1
        self.said.clear()
        await self.store.write([], {LOG: self.first - 1})
        self.through = self.first - 1

    async def _move(self) -> None:
        if self.moves:
            await self.moves.pop()()

    # What happens.

    async def say(self, item: Item, *, elsewhere: bool = False) -> int:
        """Put an item on the log; its seq."""
        stream_id = fresh_stream() if elsewhere else self.record.stream_id
        key = uuid.uuid4().hex
        seq = (await self.broker.publisher.publish(subjects.live(0, stream_id), codec.encode(item), key)).seq
        message = await self.broker.reader.at(LOG, seq)
        assert message is not None
        self.said.append(Said(seq, message.at_ms, item, stream_id, key))
        return seq

    async def post(self) -> None:
        """A comment, now and then a reply, or one of another stream."""
        number = next(self._numbers)
        roots = [each.item.comment_id for each in self.ours(self.said) if isinstance(each.item, Comment)]
        parent = self.chance.choice(roots) if roots and self.chance.random() < 0.3 else None
        who = self.chance.choice(PEOPLE)
        await self.say(comment(number, author=who, parent=parent), elsewhere=self.chance.random() < 0.2)

    async def decide(self) -> None:
        """Remove or restore a comment, or purge a person."""
        comments = [each.item for each in self.ours(self.said) if isinstance(each.item, Comment)]
        if not comments:
            return
        one = self.chance.choice(comments)
        kind = self.chance.choices(("removed", "restored", "purged"), (6, 3, 1))[0]
        if kind == "purged":
            await self.say(Purged(user_id=one.user.id))
        elif kind == "restored":
            await self.say(Restored(comment=one))
        else:
            await self.say(Removed(comment_id=one.comment_id, reason=self.chance.choice(("author", "moderator"))))

    async def archive(self, most: int | None = None, *, beyond: bool = False) -> None:
        """Take the next of the log and move the mark; *beyond* it, some of what follows, with the mark where it is."""
        waiting = [each for each in self.said if each.seq > self.through and each.seq >= self.first]
        some = waiting[: most if most is not None else self.chance.randint(1, 8)]
        if beyond:
            some = [each for each in waiting[1:] if self.chance.random() < 0.4]
        elif some:
            self.through = some[-1].seq
        await self.archive_only(some)
        await self.store.write([], {LOG: self.through})

    async def archive_only(self, some: list[Said]) -> None:
        """Take just these, with the mark where it is."""
        rows = [
            LoggedItem(
                log=LOG, stream_id=each.stream_id, seq=each.seq, at_ms=each.at_ms,
                payload=codec.encode(each.item), item=each.item, msg_id=each.msg_id,
            )
            for each in some
        ]  # fmt: skip
        await self.store.write(rows, {})
        self.in_store |= {each.seq for each in some}

    async def trim(self, *, lossy: bool = False) -> None:
        """Let the log forget its beginning: what is archived, or anything at all."""
        ends = [each.seq + 1 for each in self.said if lossy or each.seq <= self.through]
        if ends:
            await self.trim_to(self.chance.choice(ends))

    async def trim_to(self, seq: int) -> None:
        """Let the log forget what is before *seq*."""
        if seq > self.first:
            await self.broker.connection.request(f"$JS.API.STREAM.PURGE.{LOG}", json.dumps({"seq": seq}).encode())
            self.first = seq

    async def leap(self) -> None:
        """The archive takes all there is, and the log forgets it."""
        await self.archive(10**6)
        await self.trim_to(self.through + 1)

    def leap_after(self, reads: int) -> None:
        """Have the boundary leap once so many reads of what is asked next have begun or ended."""

        async def stay() -> None:
            pass

        self.moves = [self.leap, *[stay] * reads]

    # What must be read.

    def ours(self, said: list[Said]) -> list[Said]:
        """Those of the stream itself."""
        return [each for each in said if each.stream_id == self.record.stream_id]

    def known(self) -> list[Said]:
        """What is in the log or the store now."""
        return [each for each in self.ours(self.said) if each.seq >= self.first or each.seq in self.in_store]

    def told(self, known: list[Said] | None = None) -> list[Told]:
        """How each known item reads: the latest word on a comment counts, and a purge concerns what was said before it."""
        known = self.known() if known is None else known
        return [(each.seq, self._gone(each, known) if isinstance(each.item, Comment) else None) for each in known]

    def _gone(self, said: Said, known: list[Said]) -> str | None:
        assert isinstance(said.item, Comment)
        gone: str | None = None
        for each in known:
            match each.item:
                case Removed(comment_id=comment_id, reason=reason) if comment_id == said.item.comment_id:
                    gone = reason
                case Restored(comment=back) if back.comment_id == said.item.comment_id:
                    gone = None
                case Purged(user_id=user_id) if user_id == said.item.user.id and each.seq > said.seq:
                    gone = "purged"
        return gone

    def comments(self) -> list[Told]:
        """The comments among these."""
        seqs = {each.seq for each in self.known() if isinstance(each.item, Comment)}
        return [told for told in self.told() if told[0] in seqs]

    def counted(self) -> int:
        """The comments that are shown."""
        return sum(reason is None for _, reason in self.comments())


@asynccontextmanager
async def boundary(url: str, folder: Path, seed: int) -> AsyncIterator[Boundary]:
    """A stream that begins now, on the broker at *url*, whose logs it cuts, and in a file in *folder*."""
    async with broker(url) as b:
        database = await Database.open(folder / "store.sqlite")
        try:
            made = Boundary(b, SqliteComments(database), seed)
            await made.begin()
            yield made
        finally:
            await database.close()
