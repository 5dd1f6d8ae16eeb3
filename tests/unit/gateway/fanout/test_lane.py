"""Lanes and epochs: whoever joins, leaves or is told something of its own, each viewer decodes exactly its frames."""

import zlib
from typing import cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.fanout import sse
from gateway.fanout.deflate import EPOCH_S, GZIP_HEADER
from gateway.fanout.lane import Lane, LaneKey, Roll
from gateway.fanout.viewer import Viewer
from gateway.fanout.window import Window
from tests.factories import shown


class Client:
    """Stands where a viewer's transport would be: it keeps what was written, and what it should have been."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.roll: Roll | None = None
        self.written = GZIP_HEADER
        self.expected = b""

    def decoded(self) -> bytes:
        """What a gzip client makes of the bytes."""
        return zlib.decompressobj(31).decompress(self.written)


class Epochs(RuleBasedStateMachine):
    """A gzip lane under joins, leaves, windows, heartbeats and silence."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.lane = Lane(LaneKey(sse, gzip=True, comments_only=False), self.now)
        self.clients: list[Client] = []
        self.position = 0
        self.made = 0

    @rule(private=st.binary(max_size=40))
    def join(self, private: bytes) -> None:
        """A viewer comes, is told something of its own, and goes live."""
        client = Client(self.made)
        self.made += 1
        served = Window(0, 1, (shown(1, 1),), 0.0)
        client.written += served.packed(sse)
        client.expected += served.frame(sse)
        if private:
            packer = zlib.compressobj(1, zlib.DEFLATED, -15)
            client.written += packer.compress(private) + packer.flush(zlib.Z_FULL_FLUSH)
            client.expected += private
        self.clients.append(client)
        self.lane.add(cast("Viewer", client))

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def fall_short(self, data: st.DataObject) -> None:
        """A viewer leaves its roll, is brought up to date from the ring on its own, and comes back."""
        client = data.draw(st.sampled_from(self.clients))
        assert client.roll is not None
        client.roll.discard(cast("Viewer", client))
        missed = Window(self.position, self.position, (), 0.0)
        client.written += missed.packed(sse)
        client.expected += missed.frame(sse)
        self.lane.add(cast("Viewer", client))

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A viewer goes for good."""
        client = self.clients.pop(data.draw(st.integers(0, len(self.clients) - 1)))
        assert client.roll is not None
        client.roll.discard(cast("Viewer", client))

    @rule(items=st.integers(0, 3), extra=st.sampled_from([b"", b"event: viewers\ndata: {}\n\n"]))
    def flush(self, items: int, extra: bytes) -> None:
        """A window, with or without a pulse."""
        to = self.position + items + 1
        window = Window(self.position, to, tuple(shown(n, n) for n in range(self.position + 1, self.position + items + 1)), 0.0)
        self.position = to
        self._write(window, extra)

    @rule()
    def heartbeat(self) -> None:
        """Nothing but a heartbeat."""
        self._write(None, sse.HEARTBEAT)

    @rule(seconds=st.floats(0.01, 2 * EPOCH_S), rest=st.booleans())
    def pass_time(self, *, seconds: float, rest: bool) -> None:
        """Silence, seen by the ticker or not."""
        self.now += seconds
        if rest:
            self.lane.rest(self.now)

    @invariant()
    def everyone_decodes_its_own(self) -> None:
        """No byte more, none less, none other."""
        for client in self.clients:
            assert client.decoded() == client.expected

    def _write(self, window: Window | None, extra: bytes) -> None:
        for roll, data in self.lane.bytes_for(window, extra, self.now):
            for viewer in roll.viewers.values():
                client = cast("Client", viewer)
                client.written += data
                client.expected += (window.frame(sse) if window else b"") + extra


TestEpochs = Epochs.TestCase
TestEpochs.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_an_epoch_compresses_better_than_windows_alone() -> None:
    """The shared context is worth its state: what viewers of one lane get is smaller than windows packed one by one."""
    lane = Lane(LaneKey(sse, gzip=True, comments_only=False), 0.0)
    lane.add(cast("Viewer", Client(1)))
    windows = [Window(n, n + 1, (shown(n + 1, n + 1),), 0.0) for n in range(16)]
    shared = sum(len(lane.bytes_for(window, b"", 0.0)[0][1]) for window in windows)

    assert shared < 0.6 * sum(len(window.packed(sse)) for window in windows)
