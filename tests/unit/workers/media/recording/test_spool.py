"""What is recorded is on disk with its last part, whole after a crash, and never more than was allowed."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mp4boxes import boxes
from tests.unit.workers.media.test_cmaf import SETUP, broadcast, source, written
from workers.media.cmaf.setup import Setup
from workers.media.cmaf.writer import Part
from workers.media.recording import names, recorder
from workers.media.recording.names import Segment
from workers.media.recording.pen import Pen
from workers.media.recording.recorder import Recorder
from workers.media.recording.spool import Spool

STREAM = "018bcfe5-6800-7bb6-bc13-d949c5118ce2"
DATE_MS = 1_700_000_000_000


class Desk:
    """A recorder of one stream, its spool, and what it said is ready."""

    def __init__(self, root: Path, limit: int = 10**9) -> None:
        self.spool = Spool(root, limit)
        self.spool.open()
        self.ready: list[tuple[str, int]] = []
        self.may_write = True
        self.pen = Pen()
        self.pen.start()
        self.recorder = Recorder(STREAM, self.spool, self.pen, lambda: self.may_write, lambda *each: self.ready.append(each))
        self.recorder.describe("source", 7, SETUP.initialisation())

    def record(self, parts: list[Part]) -> None:
        """Take all of *parts*, and wait until they are written."""
        for part in parts:
            segment = Segment(msn=part.segment, generation=7, discontinuity=1, date_ms=DATE_MS + part.start_ms)
            self.recorder.take("source", segment, part)
        self.written()

    def written(self) -> None:
        """Wait for the pen."""
        done = threading.Event()
        self.pen.put(done.set)
        assert done.wait(10)

    @property
    def files(self) -> list[Path]:
        """Segments in the spool, open ones too."""
        return sorted(path for path in self.spool.path(STREAM, "source").iterdir() if path.suffix in (".m4s", ".open"))


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.pen.close(10)
    made.spool.close()


PARTS = written(source(), broadcast(5))


def test_every_segment_is_a_file_whose_name_tells_all(desk: Desk) -> None:
    """Its bytes are those of its parts, in order; the name reads back to what it was; the spool counts what waits."""
    desk.record(PARTS)
    segments = [names.segment(path.name) for path in desk.files]
    assert [each.msn for each in segments if each is not None] == [0, 1, 2, 3, 4]
    for path, segment in zip(desk.files, segments, strict=True):
        assert segment is not None
        of = [part for part in PARTS if part.segment == segment.msn]
        assert path.read_bytes() == b"".join(part.data for part in of)
        assert segment.duration_ms == sum(part.duration_ms for part in of)
        assert (segment.generation, segment.discontinuity, segment.name) == (7, 1, path.name)
        assert segment.date_ms == DATE_MS + of[0].start_ms
    assert desk.ready[0] == ("source/init-7.mp4", 0)
    assert [name for name, _ in desk.ready[1:]] == [f"source/{path.name}" for path in desk.files]
    assert desk.spool.bytes == sum(path.stat().st_size for path in desk.files)


@pytest.mark.parametrize("torn", [0, 1, 200, 540])
def test_a_crash_loses_the_part_in_flight(desk: Desk, tmp_path: Path, torn: int) -> None:
    """Whatever of a part was written: the next process has all parts before it, as a shorter segment with the right name."""
    first = [part for part in PARTS if part.segment == 0]
    desk.record(first[:-1])
    assert [path.suffix for path in desk.files] == [".open"]
    with desk.files[0].open("ab") as file:
        file.write(first[-1].data[:torn])
    desk.spool.close()
    after = Spool(tmp_path, 10**9)
    after.open()
    try:
        found = after.salvage()
        lasts_ms = sum(part.duration_ms for part in first[:-1])
        data = b"".join(part.data for part in first[:-1])
        name = f"source/{0:010}-7-1-{DATE_MS + first[0].start_ms}-{lasts_ms}.m4s"
        assert found == [(STREAM, "source/init-7.mp4", len(SETUP.initialisation())), (STREAM, name, len(data))]
        assert after.path(STREAM, name).read_bytes() == data
        assert [kind for kind, _, _ in boxes(data)] == [b"moof", b"mdat"] * (len(first) - 1)
        assert after.bytes == len(data)
    finally:
        after.close()


def test_sound_alone_is_salvaged_by_its_own_clock(tmp_path: Path) -> None:
    """Its ticks are not milliseconds: the initialisation segment in the spool tells."""
    setup = Setup(None, SETUP.sound)
    desk = Desk(tmp_path)
    parts = [part for part in written(source(setup), broadcast(2)) if part.segment == 0]
    desk.recorder.describe("source", 7, setup.initialisation())
    desk.record(parts[:-1])
    desk.pen.close(10)
    desk.spool.close()
    after = Spool(tmp_path, 10**9)
    after.open()
    [_, (_, name, _)] = after.salvage()
    segment = names.segment(name.partition("/")[2])
    assert segment is not None
    assert abs(segment.duration_ms - sum(part.duration_ms for part in parts[:-1])) <= 2
    after.close()


def test_a_worker_beside_takes_over_only_from_the_dead(tmp_path: Path) -> None:
    """Each process has a folder of its own; what one left is salvaged by the next, what one still has is not touched."""
    one, two = Desk(tmp_path), Spool(tmp_path, 10**9)
    two.open()
    assert one.spool.folder != two.folder
    one.record(PARTS)
    assert two.salvage() == []
    one.pen.close(10)
    one.spool.close()
    assert len(two.salvage()) == 6
    two.close()


def test_a_full_spool_keeps_what_it_has(tmp_path: Path) -> None:
    """A segment is begun only below the limit; what was begun is finished; with room again the next segment is taken."""
    desk = Desk(tmp_path, limit=len(PARTS[0].data) + 1)
    desk.record(PARTS)
    assert [names.segment(path.name).msn for path in desk.files] == [0]  # type: ignore[union-attr]  # they are segments
    size = desk.files[0].stat().st_size
    desk.files[0].unlink()
    desk.spool.count(-size)
    desk.record([part for part in PARTS if part.segment >= 3])
    assert [names.segment(path.name).msn for path in desk.files] == [3]  # type: ignore[union-attr]  # as above
    desk.pen.close(10)
    desk.spool.close()


def test_a_slow_disk_costs_the_recording_and_nothing_else(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may wait is bounded; past it the segment ends short of a part, whole, and the next one is recorded again."""
    monkeypatch.setattr(recorder, "QUEUE_BYTES", 2 * len(PARTS[0].data))
    hangs, goes = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        goes.wait(10)

    desk.pen.put(hang)
    assert hangs.wait(10)
    for part in PARTS[:4]:
        desk.recorder.take("source", Segment(msn=0, generation=7, discontinuity=1, date_ms=DATE_MS), part)
    goes.set()
    desk.written()
    desk.record([part for part in PARTS if part.segment == 1])
    short, whole = desk.files
    kinds = [kind for kind, _, _ in boxes(short.read_bytes())]
    assert kinds
    assert len(kinds) < 2 * 4
    assert names.segment(whole.name).msn == 1  # type: ignore[union-attr]  # it is a segment


def test_who_lost_the_stream_writes_nothing(desk: Desk) -> None:
    """What came before ends there, whole; what comes after is in no file."""
    first = [part for part in PARTS if part.segment == 0]
    desk.record(first[:2])
    desk.may_write = False
    desk.record(PARTS[2:])
    [path] = desk.files
    assert path.read_bytes() == first[0].data + first[1].data
    assert path.suffix == ".m4s"


def test_a_gap_is_not_kept(desk: Desk) -> None:
    """A rendition that lost the rest of a segment shows none of it; the room it took is free again."""
    desk.record([part for part in PARTS if part.segment == 0][:2])
    desk.recorder.drop("source")
    desk.written()
    assert (desk.files, desk.spool.bytes) == ([], 0)
