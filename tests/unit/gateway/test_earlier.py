"""Comments go on while the store is away, for keys that cannot be in it; for all others the store is asked."""

import asyncio
import time

import pytest

from gateway import earlier
from gateway.earlier import AHEAD_MS, LEFT_ALONE_S, YOUNG_MS, Earlier, made_at_ms
from infra.clock import HandClock
from infra.errors import Unavailable
from schemas.records import Broadcaster, StreamRecord
from tests.waits import eventually

NOW = 1_800_000_000_000
RECORD = StreamRecord(stream_id="s", broadcaster=Broadcaster(id="ada", name="Ada"), title="t", key_sha256="", created_at=1)


def key(at_ms: int) -> str:
    """A UUID of version 7, as pages make them."""
    made = f"{at_ms:012x}"
    return f"{made[:8]}-{made[8:]}-7abc-8def-0123456789ab"


class Store:
    """Finds nothing, or does not answer."""

    def __init__(self) -> None:
        self.asked = 0
        self.found: int | None = None
        self.away = False
        self.hangs = False
        self.remembered: int | None = None

    async def logged(self, subject: str, _msg_id: str) -> int | None:
        """As the log does."""
        assert subject == "live.0.s"
        return self.remembered

    async def stored(self, asked: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """As the history does, of the store alone."""
        found = await self.find(RECORD, "id")
        return {} if found is None else dict.fromkeys(asked, found)

    async def find(self, _record: StreamRecord, _msg_id: str) -> int | None:
        """As the history does."""
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable("away")
        return self.found


@pytest.fixture(name="clock")
def _clock() -> HandClock:
    return HandClock(NOW)


async def test_a_store_that_answers_is_believed(clock: HandClock) -> None:
    """Whatever the key says of itself: what was erased from the log is known to the store alone."""
    store = Store()
    store.found = 17
    asker = Earlier(store.find, store.stored, store.logged, clock)
    for each in ("opaque", key(NOW), key(NOW - 3_600_000)):
        assert await asker.seq(RECORD, "id", each) == 17


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_young_key_waits_for_no_store(clock: HandClock, monkeypatch: pytest.MonkeyPatch, hangs: bool) -> None:  # noqa: FBT001
    """Away or silent, a post with it goes on; a look each second finds out whether it is back, and no post waits for it."""
    monkeypatch.setattr(earlier, "ANSWERS_S", 0.3)
    store = Store()
    store.hangs, store.away = hangs, not hangs
    asker = Earlier(store.find, store.stored, store.logged, clock)
    began = time.monotonic()
    for _ in range(50):
        assert await asker.seq(RECORD, "id", key(NOW - YOUNG_MS // 2)) is None
    assert store.asked == 1
    assert time.monotonic() - began < 10
    clock.advance(LEFT_ALONE_S)
    assert await asker.seq(RECORD, "id", key(NOW)) is None
    assert store.asked == 1
    assert [await asker.seq(RECORD, "id", key(NOW)) for _ in range(20)] == [None] * 20
    await eventually(lambda: store.asked == 2)
    store.hangs = store.away = False
    store.found = 4

    async def back() -> bool:
        clock.advance(LEFT_ALONE_S)
        return await asker.seq(RECORD, "id", key(NOW)) == 4

    await eventually(back)
    assert [await asker.seq(RECORD, "id", key(NOW)) for _ in range(3)] == [4, 4, 4]


@pytest.mark.parametrize("old", ["opaque", key(NOW - YOUNG_MS - 1), key(NOW + AHEAD_MS + 1), key(0)])
async def test_any_other_key_asks_the_store(clock: HandClock, old: str) -> None:
    """It may be a retry of what the log has forgotten: never posted twice for want of an answer. What it knows has one."""
    store = Store()
    store.away = True
    asker = Earlier(store.find, store.stored, store.logged, clock)
    with pytest.raises(Unavailable):
        await asker.seq(RECORD, "id", old)
    store.remembered = 5
    assert await asker.seq(RECORD, "id", old) == 5


@pytest.mark.parametrize("word", ["", "opaque", "018bcfe5-6800-4bb6-bc13-d949c5118ce2", key(NOW) + "0", "x" + key(NOW)[1:]])
def test_what_is_no_such_key_says_nothing(word: str) -> None:
    """Other versions, other lengths, other letters."""
    assert made_at_ms(word) is None
    assert made_at_ms(key(NOW)) == made_at_ms(key(NOW).replace("-", "").upper()) == NOW
