"""How far a log is archived without a hole. Pure: no clock, no socket.

Two things are known. The consumer's own ack floor: we acknowledge only what is committed, so everything up to it is
done, but it lags. And our own account: the consumer numbers all deliveries to anybody without a hole, so as long as each
one we take follows the one before, everything the log offered in between has come to us, and what we have committed
counts at once, before the server has read a single acknowledgement.

Our account breaks when a number is missing: the delivery was lost with a connection, or went to a former life of this
process, or to another one. Such a message comes back only after `ack_wait`, behind newer ones, and until then nobody
but the server knows of it. So after a break, and at the start, the watermark stands still (`unsure`) until the consumer
has told how far it ever delivered; that seq is the barrier, and only an ack floor that reaches it makes our own account
count again. It is asked after the break was seen, so its answer includes what broke it.
"""

from collections.abc import Collection

from infra.jetstream.pull import ConsumerState, Delivery


class Watermark:
    """The watermark of one log."""

    def __init__(self, floor: int) -> None:
        """*floor*: everything up to it is in the store already."""
        self._floor = floor
        self._highest = floor
        self._barrier = 0
        self._unsure = True
        self._next: int | None = None
        self._open: set[int] = set()

    @property
    def curious(self) -> bool:
        """Whether the consumer's state would tell something: `learn` it."""
        return self._unsure or self._barrier > self._floor or bool(self._open)

    def take(self, deliveries: Collection[Delivery]) -> None:
        """Account for deliveries, in the order they came, before any of them is handled."""
        for delivery in deliveries:
            if self._next is not None and delivery.delivery != self._next:
                self._unsure = True
            self._next = delivery.delivery + 1
            self._highest = max(self._highest, delivery.seq)
            if delivery.seq > self._floor:
                self._open.add(delivery.seq)

    def learn(self, state: ConsumerState) -> None:
        """Account for the consumer's state, asked for after the last `take`."""
        if self._next is None:
            self._next = state.deliveries + 1
        if self._unsure:
            self._barrier = max(self._barrier, self._highest, state.delivered)
            self._unsure = False
        self._raise(state.ack_floor)

    def finish(self, seqs: Collection[int]) -> None:
        """These are in the store, or dead-lettered."""
        self._open.difference_update(seqs)
        self._raise(self.through())

    def through(self, committing: Collection[int] = ()) -> int:
        """The highest seq up to which everything is done, once *committing* is as well."""
        if self._unsure or self._barrier > self._floor:
            return self._floor
        still_open = self._open.difference(committing)
        return max(self._floor, min(still_open) - 1 if still_open else self._highest)

    def _raise(self, floor: int) -> None:
        if floor > self._floor:
            self._floor = floor
            self._open = {seq for seq in self._open if seq > floor}
