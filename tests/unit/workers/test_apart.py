"""Poison is told from an outage: nothing is given up while nothing else is taken."""

from collections.abc import Callable, Sequence

import pytest

from infra.errors import Refused, Unavailable
from infra.jetstream.pull import Delivery
from workers.apart import TRIED, Apart, Unproven
from workers.handler import Done, Outcome, Reject, Retry


def delivery(seq: int) -> Delivery:
    """The first delivery of message *seq*."""
    return Delivery(
        log="LIVE_0", consumer="archive", subject="live.0.s", seq=seq, at_ms=0, delivery=seq, attempt=1,
        payload=b"", headers={}, reply="",
    )  # fmt: skip


class Store:
    """A handler over something that takes what `takes` says, and raises `error` at anything else."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        self.error = error
        self.takes: Callable[[int], bool] = lambda _seq: True
        self.calls = 0

    def fetched(self, batch: Sequence[Delivery]) -> None:
        """Nothing to note."""

    async def handle(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """All of it, or nothing."""
        self.calls += 1
        if not all(self.takes(each.seq) for each in batch):
            raise self.error()
        return [Done() for _ in batch]

    def rejected(self, delivery: Delivery) -> None:
        """Nothing to note."""

    async def tend(self) -> None:
        """Nothing is due."""


@pytest.fixture(name="store", params=[lambda: Refused("does not take it"), ZeroDivisionError], ids=["refused", "crash"])
def _store(request: pytest.FixtureRequest) -> Store:
    return Store(request.param)


BATCH = [delivery(seq) for seq in range(1, 101)]


async def test_one_among_many_is_alone_with_its_failure(store: Store) -> None:
    """The other 99 are done at the first try; it is tried three times in all, and then rejected with its reason."""
    apart = Apart(store, "LIVE_0", 3)
    store.takes = lambda seq: seq != 13
    outcomes = await apart.handle(BATCH)
    assert [each.seq for each, outcome in zip(BATCH, outcomes, strict=True) if outcome != Done()] == [13]
    assert isinstance(outcomes[12], Retry)
    # Halving, with one proof a step: far fewer than one by one.
    assert store.calls < 30
    [again] = await apart.handle([delivery(13)])
    assert isinstance(again, Retry)
    [last] = await apart.handle([delivery(13)])
    assert isinstance(last, Reject)
    assert "3 times, last with" in last.reason


async def test_an_outage_rejects_nothing_however_long_it_lasts(store: Store) -> None:
    """What was taken before is refused now as well: waited for, a hundred times, and afterwards nothing is held against it."""
    apart = Apart(store, "LIVE_0", 2)
    await apart.handle(BATCH[:1])
    store.takes = lambda _seq: False
    for _ in range(100):
        with pytest.raises(Unproven, match="nothing is taken"):
            await apart.handle(BATCH)
        with pytest.raises(Unproven, match="nothing is taken"):
            await apart.handle([delivery(13)])
    # A lone message: itself, the proof, itself. No walk through the batch.
    assert store.calls <= 1 + 100 * (2 + TRIED + 3)
    store.takes = lambda _seq: True
    assert await apart.handle(BATCH) == [Done()] * 100


async def test_before_anything_was_taken_others_may_tell(store: Store) -> None:
    """The first messages ever are all poison: undecided, until one that comes after them is taken."""
    apart = Apart(store, "LIVE_0", 1)
    store.takes = lambda seq: seq > 3
    for _ in range(5):
        with pytest.raises(Unproven):
            await apart.handle(BATCH[:3])
    assert await apart.handle([delivery(4)]) == [Done()]
    assert all(isinstance(outcome, Reject) for outcome in await apart.handle(BATCH[:3]))


async def test_a_failure_that_passes_is_forgotten(store: Store) -> None:
    """Failed twice, then taken: a later failure counts from one."""
    apart = Apart(store, "LIVE_0", 3)
    await apart.handle(BATCH[:1])
    for _ in range(3):
        store.takes = lambda seq: seq != 2
        for _ in range(2):
            [outcome] = await apart.handle([delivery(2)])
            assert isinstance(outcome, Retry)
        store.takes = lambda _seq: True
        assert await apart.handle([delivery(2), delivery(3)]) == [Done()] * 2


async def test_a_proof_that_is_no_longer_taken_itself_stops_nobody(store: Store) -> None:
    """The last one that was taken has become unwelcome; others of the batch prove that the store takes something."""
    apart = Apart(store, "LIVE_0", 3)
    await apart.handle([delivery(500)])
    store.takes = lambda seq: seq not in (500, 7)
    outcomes = await apart.handle(BATCH)
    assert [each.seq for each, outcome in zip(BATCH, outcomes, strict=True) if outcome != Done()] == [7]


async def test_an_outage_in_the_middle_is_an_outage() -> None:
    """The store goes away while a batch is taken apart: nothing is decided about any of it."""
    store = Store(lambda: Refused("does not take it"))
    apart = Apart(store, "LIVE_0", 1)
    await apart.handle(BATCH[:1])

    def takes(seq: int) -> bool:
        if store.calls > 5:
            raise Unavailable("away")
        return seq != 13

    store.takes = takes
    with pytest.raises(Unavailable, match="away"):
        await apart.handle(BATCH)
