"""A stream's folder: what the renditions must agree on, what a later process finds, and which files stay how long."""

from pathlib import Path

from infra.clock import HandClock
from tests import hls_rules
from workers.media.cutter import Segment
from workers.media.mp4 import Track
from workers.media.playlist import WINDOW
from workers.media.publication import Publication
from workers.media.timeline import Timeline

PICTURE = Track(1, "video", 16000, "avc1.42c01e", 640, 360)


def segment(start: float, seconds: float = 1.0) -> Segment:
    """One segment."""
    return Segment(start, seconds, 30, independent=True, data=b"x" * 1000)


class Run:
    """One rendition in one generation."""

    def __init__(self, publication: Publication, name: str, generation: int, timeline: Timeline) -> None:
        self.publication = publication
        self.name = name
        self.generation = generation
        self.timeline = timeline
        self.map_uri = ""

    async def open(self) -> "Run":
        """Write the initialisation segment."""
        init = f"init {self.generation}".encode()
        self.map_uri = await self.publication.describe(self.name, self.generation, init, [PICTURE])
        return self

    async def publish(self, *segments: Segment) -> None:
        """Publish *segments*."""
        for each in segments:
            await self.publication.publish(self.name, self.generation, self.map_uri, each, self.timeline)


def heard(now_ms: int) -> Timeline:
    """A timeline whose time zero was at *now_ms*."""
    timeline = Timeline()
    timeline.observe(0, now_ms, leads=True)
    return timeline


async def opened(folder: Path, clock: HandClock) -> Publication:
    """The publication in *folder*, as a process finds it."""
    publication = Publication(folder, clock)
    await publication.open()
    return publication


def read(folder: Path, name: str) -> hls_rules.Media:
    """One rendition's playlist."""
    return hls_rules.read_media((folder / name / "index.m3u8").read_bytes())


def found(folder: Path, pattern: str) -> dict[str, bytes]:
    """Files by name, with what is in them."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob(pattern))}


async def test_a_quality_is_listed_after_its_first_segment(tmp_path: Path) -> None:
    """An empty one in the master playlist stalled a player three times ten seconds."""
    publication = await opened(tmp_path, HandClock())
    timeline = heard(1_800_000_000_000)
    source = await Run(publication, "source", 1, timeline).open()
    small = await Run(publication, "144p", 1, timeline).open()
    assert not (tmp_path / "master.m3u8").exists()
    await source.publish(segment(0))
    assert list(hls_rules.read_master((tmp_path / "master.m3u8").read_bytes())) == ["source/index.m3u8"]
    await small.publish(segment(0))
    assert len(hls_rules.read_master((tmp_path / "master.m3u8").read_bytes())) == 2


async def test_the_first_segment_sets_the_target_duration_of_all(tmp_path: Path) -> None:
    """Of every rendition, for good: also for one that begins with shorter segments, and for the next process."""
    clock = HandClock()
    publication = await opened(tmp_path, clock)
    timeline = heard(clock.now_ms())
    source = await Run(publication, "source", 1, timeline).open()
    await source.publish(segment(0, 3.0), segment(3, 1.0))
    small = await Run(publication, "144p", 1, timeline).open()
    await small.publish(segment(3, 1.0))
    assert [read(tmp_path, name).target for name in ("source", "144p")] == [3, 3]
    assert (await opened(tmp_path, clock)).longest() == publication.longest() == 3.499


async def test_renditions_agree_on_discontinuities(tmp_path: Path) -> None:
    """One that missed a whole generation still numbers the next like the other; one without segments leaves no trace."""
    clock = HandClock()
    publication = await opened(tmp_path, clock)
    for generation in range(1, 5):
        timeline = heard(clock.now_ms())
        source = await Run(publication, "source", generation, timeline).open()
        small = await Run(publication, "144p", generation, timeline).open()
        if generation != 3:
            await source.publish(segment(0), segment(1))
            clock.advance(2)
        if generation in {1, 4}:
            await small.publish(segment(0), segment(1))
    raw = [(tmp_path / name / "index.m3u8").read_bytes() for name in ("source", "144p")]
    assert hls_rules.check_variants(raw) == []
    assert [[each.discontinuity for each in hls_rules.read_media(each).segments] for each in raw] == [
        [0, 0, 1, 1, 2, 2],
        [0, 0, 2, 2],
    ]


async def test_a_later_process_goes_on(tmp_path: Path) -> None:
    """Higher numbers, a discontinuity, later dates; no file that was there is written again."""
    clock = HandClock()
    first = await Run(await opened(tmp_path, clock), "source", 1, heard(clock.now_ms())).open()
    await first.publish(*(segment(at) for at in range(4)))
    before = found(tmp_path, "source/1-*")
    older = (tmp_path / "source" / "index.m3u8").read_bytes()

    publication = await opened(tmp_path, clock)
    # The wall clock was set back meanwhile: dates go on all the same.
    second = await Run(publication, "source", publication.next_generation(), heard(clock.now_ms() - 60_000)).open()
    await second.publish(segment(0), segment(1))
    newer = (tmp_path / "source" / "index.m3u8").read_bytes()
    assert hls_rules.check_media(newer) == []
    assert hls_rules.check_update(older, newer) == []
    assert [each.uri for each in read(tmp_path, "source").segments[3:]] == ["1-3.m4s", "2-4.m4s", "2-5.m4s"]
    assert before == found(tmp_path, "source/1-*")


async def test_files_stay_while_a_player_may_ask_for_them(tmp_path: Path) -> None:
    """A segment that left the playlist can be fetched for as long as the playlist lasts, then goes; so do old maps."""
    clock = HandClock()
    publication = await opened(tmp_path, clock)
    timeline = heard(clock.now_ms())
    most = 0
    for generation in (1, 2):
        run = await Run(publication, "source", generation, timeline).open()
        for at in range(50):
            await run.publish(segment((generation - 1) * 50 + at))
            clock.advance(1)
            listed = {each.uri for each in read(tmp_path, "source").segments}
            files = set(found(tmp_path, "source/*.m4s"))
            assert listed <= files
            assert len(files) >= min(at + 1, 2 * WINDOW)
            most = max(most, len(files))
    assert most <= 2 * WINDOW + 3
    assert list(found(tmp_path, "source/*-init.mp4")) == ["2-init.mp4"]


async def test_what_a_dead_process_left_is_swept(tmp_path: Path) -> None:
    """Half-written files at once, files that no playlist names after a while."""
    clock = HandClock()
    run = await Run(await opened(tmp_path, clock), "source", 1, heard(clock.now_ms())).open()
    await run.publish(segment(0))
    (tmp_path / "source" / "1-1.m4s.part").write_bytes(b"half")
    (tmp_path / "source" / "1-1.m4s").write_bytes(b"never listed")
    publication = await opened(tmp_path, clock)
    assert not (tmp_path / "source" / "1-1.m4s.part").exists()
    run = await Run(publication, "source", publication.next_generation(), heard(clock.now_ms())).open()
    clock.advance(60)
    await run.publish(segment(0))
    assert list(found(tmp_path, "source/*.m4s")) == ["1-0.m4s", "2-1.m4s"]


async def test_a_quality_that_is_no_longer_made_is_withdrawn(tmp_path: Path) -> None:
    """It leaves the master playlist first, then its own playlist goes: players move on instead of waiting."""
    clock = HandClock()
    publication = await opened(tmp_path, clock)
    timeline = heard(clock.now_ms())
    for name in ("source", "144p"):
        await (await Run(publication, name, 1, timeline).open()).publish(segment(0))
    await publication.keep_only(["source"])
    assert list(hls_rules.read_master((tmp_path / "master.m3u8").read_bytes())) == ["source/index.m3u8"]
    assert not (tmp_path / "144p" / "index.m3u8").exists()
    assert publication.qualities(["source", "144p"]) == ["360p"]


async def test_a_damaged_playlist_does_not_stop_a_stream(tmp_path: Path) -> None:
    """A playlist that cannot be read back is begun anew, under names that were never used."""
    clock = HandClock()
    run = await Run(await opened(tmp_path, clock), "source", 7, heard(clock.now_ms())).open()
    await run.publish(segment(0))
    (tmp_path / "source" / "index.m3u8").write_bytes(b"\xff\x00")
    publication = await opened(tmp_path, clock)
    assert publication.next_generation() == 8
