"""A lane: the viewers of a stream that get the same bytes, and the epoch their bytes are packed in."""

from collections.abc import Iterator

from msgspec import Struct

from gateway.fanout.deflate import Epoch, packed
from gateway.fanout.viewer import Viewer
from gateway.fanout.window import Window
from gateway.fanout.wire import Wire


class LaneKey(Struct, frozen=True):
    """What decides the bytes; `cohort` is `None` while everyone is shown everything."""

    wire: Wire
    gzip: bool
    comments_only: bool
    cohort: int | None = None


class Roll:
    """Viewers by descriptor, and who of them left while a flush was on its way through them.

    A descriptor that was closed is soon another connection's: a write under way must know that its viewer has gone.
    """

    __slots__ = ("gone", "viewers")

    def __init__(self) -> None:
        self.viewers: dict[int, Viewer] = {}
        self.gone: set[int] = set()

    def add(self, viewer: Viewer) -> None:
        """Make *viewer* live."""
        self.viewers[viewer.fd] = viewer
        viewer.roll = self

    def discard(self, viewer: Viewer) -> None:
        """Take *viewer* off, for whatever reason."""
        if self.viewers.pop(viewer.fd, None) is not None:
            self.gone.add(viewer.fd)
        viewer.roll = None

    def take_over(self, other: "Roll") -> None:
        """Take all viewers of *other*."""
        for viewer in other.viewers.values():
            viewer.roll = self
        self.viewers.update(other.viewers)
        other.viewers.clear()


class Lane:
    """`running` viewers share an epoch; `joining` ones came in its middle and wait for the next one's start."""

    __slots__ = ("_epoch", "joining", "key", "last_write", "running")

    def __init__(self, key: LaneKey, now: float) -> None:
        self.key = key
        self.last_write = now
        self.running = Roll()
        self.joining = Roll()
        self._epoch: Epoch | None = None

    def __len__(self) -> int:
        return len(self.running.viewers) + len(self.joining.viewers)

    def __iter__(self) -> Iterator[Viewer]:
        yield from self.running.viewers.values()
        yield from self.joining.viewers.values()

    def add(self, viewer: Viewer) -> None:
        """Make *viewer* live, from the next flush on."""
        (self.running if self._epoch is None else self.joining).add(viewer)

    def bytes_for(self, window: Window | None, extra: bytes, now: float) -> list[tuple[Roll, bytes]]:
        """What each roll is to be written for *window* and the shared *extra* frames (each may be missing).

        Call it only when the previous flush has gone through: viewers change rolls here.
        """
        self.last_write = now
        wire = self.key.wire
        cut = window.cut(self.key.cohort or 0) if window is not None else None
        plain = cut.frame(wire) + extra if cut is not None else extra
        if not self.key.gzip:
            return [(self.running, plain)]
        if self._epoch is None or self._epoch.over(now):
            self._epoch = Epoch(now)
            self.running.take_over(self.joining)
        out: list[tuple[Roll, bytes]] = []
        if self.running.viewers:
            out.append((self.running, self._epoch.pack(plain)))
        if self.joining.viewers:
            alone = (cut.packed(wire) if cut is not None else b"") + (packed(extra) if extra else b"")
            out.append((self.joining, alone))
        return out

    def rest(self, now: float) -> None:
        """Let go of an epoch that is over: its context weighs 256 kB, and most streams are quiet."""
        if self._epoch is not None and self._epoch.over(now):
            self._epoch = None
            self.running.take_over(self.joining)
