"""The watermark never passes a message that is not committed, and gets everywhere in the end."""

import random
from collections.abc import Callable

import pytest

from infra.jetstream.pull import ConsumerState, Delivery
from workers.archive.watermark import Watermark


def delivery(seq: int, number: int, attempt: int = 1) -> Delivery:
    """The *number*-th delivery of the consumer: message *seq*."""
    return Delivery(
        log="LIVE_0",
        consumer="archive",
        subject="live.0.s",
        seq=seq,
        at_ms=0,
        delivery=number,
        attempt=attempt,
        payload=b"",
        headers={},
        reply="",
    )


def state(ack_floor: int, delivered: int, deliveries: int) -> ConsumerState:
    """What the server says of the consumer."""
    return ConsumerState(ack_floor, delivered, deliveries, 0, 0)


def fresh(floor: int = 0) -> Watermark:
    """One that knows that nothing was ever delivered."""
    watermark = Watermark(floor)
    watermark.learn(state(floor, floor, 0))
    return watermark


def test_what_is_being_committed_counts_at_once() -> None:
    """The batch's own transaction says that it is archived, before the server has seen one acknowledgement."""
    watermark = fresh()
    watermark.take([delivery(10, 1), delivery(12, 2), delivery(13, 3)])

    assert watermark.through() == 9
    assert watermark.through([10, 12, 13]) == 13
    assert watermark.through([10, 13]) == 11
    watermark.finish([10, 12])
    assert watermark.through() == 12


def test_a_former_life_holds_it_back() -> None:
    """Messages 5 to 8 went to a process that was killed: what comes after them is committed, the watermark waits."""
    watermark = Watermark(4)
    watermark.learn(state(4, 8, 8))
    watermark.take([delivery(9, 9), delivery(10, 10)])
    watermark.finish([9, 10])
    assert watermark.through() == 4

    watermark.take([delivery(seq, 6 + seq, attempt=2) for seq in (5, 6, 7, 8)])
    watermark.finish([5, 6, 7, 8])
    assert watermark.through() == 4
    watermark.learn(state(10, 10, 14))
    assert watermark.through() == 10


def test_a_missing_delivery_holds_it_back() -> None:
    """Delivery 3 was lost with the connection: nothing after it counts until the server has it acknowledged."""
    watermark = fresh()
    watermark.take([delivery(1, 1), delivery(2, 2), delivery(4, 4)])
    watermark.finish([1, 2, 4])
    assert watermark.through() == 0
    watermark.learn(state(2, 4, 4))
    assert watermark.through() == 2
    watermark.take([delivery(5, 5), delivery(3, 6, attempt=2)])
    watermark.finish([5, 3])
    assert watermark.through() == 2
    watermark.learn(state(5, 5, 6))
    assert watermark.through() == 5


def test_a_gap_seen_at_a_redelivery_knows_no_bound_by_itself() -> None:
    """New messages 101 and 102 were lost, then 90 came again: its seq says nothing about how far the loss reached."""
    watermark = fresh(89)
    watermark.take([delivery(seq, seq - 89) for seq in range(90, 101)])
    watermark.finish(range(91, 101))
    watermark.take([delivery(90, 14, attempt=2), delivery(103, 15)])
    watermark.finish([90, 103])
    assert watermark.through() < 101
    watermark.learn(state(100, 103, 15))
    assert watermark.through() == 100


def test_a_rejected_message_holds_it_until_it_is_put_aside() -> None:
    """Poison is passed only when the dead-letter log has it."""
    watermark = fresh()
    watermark.take([delivery(1, 1), delivery(2, 2), delivery(3, 3)])
    watermark.finish([1, 3])
    assert watermark.through() == 1
    watermark.finish([2])
    assert watermark.through() == 3


def test_a_message_that_the_log_lost_does_not_hold_it_for_ever() -> None:
    """A message that waited for its retry expired: the server's ack floor passes it, and so does the watermark."""
    watermark = fresh()
    watermark.take([delivery(1, 1), delivery(2, 2)])
    watermark.finish([2])
    assert watermark.curious
    watermark.learn(state(2, 2, 2))
    assert watermark.through() == 2
    assert not watermark.curious


class Model:
    """A log with holes, its consumer, a lossy way and an archive that is killed: what may happen, at random."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.log = sorted(self.chance.sample(range(1, 400), 120))
        self.new = 0
        self.pending: dict[int, int] = {}
        self.deliveries = 0
        self.saved = (0, dict[int, int](), 0)
        self.arrived: list[Delivery] = []
        self.held: list[Delivery] = []
        self.committed: set[int] = set()
        self.stored = 0
        self.watermark = Watermark(0)

    def check(self) -> None:
        """The promise."""
        missing = [seq for seq in self.log if seq <= self.stored and seq not in self.committed]
        assert not missing, f"archived through {self.stored}, but {missing} are not committed"

    def deliver(self, seq: int, *, lost: bool) -> None:
        """Offer one message; *lost* on its way or to somebody else."""
        self.deliveries += 1
        self.pending[seq] = self.pending.get(seq, 0) + 1
        if not lost:
            self.arrived.append(delivery(seq, self.deliveries, self.pending[seq]))

    def deliver_new(self, *, lost: bool = False) -> None:
        """Offer a few that were never offered."""
        for _ in range(self.chance.randint(1, 6)):
            if self.new < len(self.log):
                self.deliver(self.log[self.new], lost=lost)
                self.new += 1

    def redeliver(self, *, lost: bool = False) -> None:
        """Offer a few again whose acknowledgement is missing."""
        for seq in self.chance.sample(sorted(self.pending), min(3, len(self.pending))):
            self.deliver(seq, lost=lost)

    def fetch(self) -> None:
        """Take what arrived."""
        self.watermark.take(self.arrived)
        self.held += self.arrived
        self.arrived = []

    def commit(self) -> None:
        """Commit a random part of what is held; one acknowledgement in five is lost."""
        self.chance.shuffle(self.held)
        cut = self.chance.randint(0, len(self.held))
        batch, self.held = self.held[:cut], self.held[cut:]
        seqs = [each.seq for each in batch]
        self.stored = max(self.stored, self.watermark.through(seqs))
        self.committed.update(seqs)
        self.watermark.finish(seqs)
        for seq in seqs:
            if self.chance.random() < 0.8:
                self.pending.pop(seq, None)

    def learn(self) -> None:
        """Ask the server."""
        delivered = self.log[self.new - 1] if self.new else 0
        floor = min(self.pending) - 1 if self.pending else delivered
        self.watermark.learn(state(floor, delivered, self.deliveries))
        self.stored = max(self.stored, self.watermark.through())

    def save(self) -> None:
        """The server writes the consumer's state to its disk."""
        self.saved = (self.new, dict(self.pending), self.deliveries)

    def server_killed(self) -> None:
        """The server comes back with the state it had saved."""
        self.new, pending, self.deliveries = self.saved
        self.pending = dict(pending)
        self.arrived = []

    def archive_killed(self) -> None:
        """The archive comes back with what is in the store."""
        self.arrived, self.held = [], []
        self.watermark = Watermark(self.stored)

    def step(self) -> None:
        """One random thing."""
        things: dict[Callable[[], None], int] = {
            self.deliver_new: 8,
            self.fetch: 8,
            self.commit: 8,
            self.redeliver: 3,
            self.learn: 4,
            self.save: 2,
            self.server_killed: 1,
            self.archive_killed: 1,
            (lambda: self.deliver_new(lost=True)): 1,
            (lambda: self.redeliver(lost=True)): 1,
        }
        self.chance.choices(list(things), list(things.values()))[0]()
        self.check()

    def settle(self) -> None:
        """Nothing happens any more but what is due, until all is delivered and committed."""
        while self.new < len(self.log) or self.pending or self.watermark.curious:
            self.deliver_new()
            self.redeliver()
            self.fetch()
            self.commit()
            self.learn()
            self.check()


@pytest.mark.parametrize("seed", range(0, 2000, 100))
def test_nothing_makes_it_pass_an_uncommitted_message(seed: int) -> None:
    """100 random lives of 200 steps: losses, kills of both sides, regressions. Then all is delivered, and it arrives."""
    for each in range(seed, seed + 100):
        model = Model(each)
        for _ in range(200):
            model.step()
        model.settle()

        assert model.stored == model.log[-1]


class Several(Model):
    """The same with three archives over one store: each sees a part of the deliveries, and is killed by itself."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.lives = [(Watermark(0), list[Delivery](), list[Delivery]()) for _ in range(3)]

    def step(self) -> None:
        """One of them does something."""
        number = self.chance.randrange(3)
        self.watermark, self.arrived, self.held = self.lives[number]
        super().step()
        self.lives[number] = self.watermark, self.arrived, self.held

    def server_killed(self) -> None:
        """What was on its way to any of them is gone."""
        super().server_killed()
        self.lives = [(watermark, [], held) for watermark, _, held in self.lives]


@pytest.mark.parametrize("seed", range(0, 600, 100))
def test_several_archives_never_pass_what_one_of_them_holds(seed: int) -> None:
    """100 random lives of 400 steps of three archives on one consumer; in the end any of them brings the mark to the last."""
    for each in range(seed, seed + 100):
        model = Several(each)
        for _ in range(400):
            model.step()
        # Two die with what they hold, which the server offers to the third.
        model.watermark, model.arrived, model.held = model.lives[0]
        model.settle()

        assert model.stored == model.log[-1]
