"""A stream's renditions: what they must agree on, what a later process finds, which files stay how long, what is a gap."""

from pathlib import Path

import pytest

from infra.clock import HandClock
from tests.hls import multivariant, playlist, rules
from workers.media.cmaf.aac import Sound
from workers.media.cmaf.picture import Picture
from workers.media.cmaf.setup import Setup
from workers.media.cmaf.writer import Part
from workers.media.filing import MOST, Filing
from workers.media.playlist import WINDOW
from workers.media.publication import Publication
from workers.media.run import FIRST_MS, SETTLE_MS, Run
from workers.media.timeline import DOWN, Timeline
from workers.media.variants import SOURCE

SETUP = Setup(Picture(b"\1record", "avc1.42c01e", 640, 360), Sound(b"\x11\x90", "mp4a.40.2", 48_000, 2, 1024))
RUNG = "144p"
PIECE = b"x" * 200


def fail(error: OSError) -> None:
    """No write may fail here."""
    raise error


class Show:
    """One stream's publication, and the run that goes on in it."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        self.folder = folder
        self.clock = clock
        self.filing = Filing(lambda: True, fail)
        self.publication = Publication(folder, clock, self.filing, 200)
        self.published: list[str] = []
        self.run: Run
        self._at: dict[str, tuple[int, int]] = {}

    async def open(self) -> "Show":
        """As a process finds it."""
        await self.publication.open()
        return self

    def begin(self, *names: str, zero_ms: int | None = None) -> None:
        """A new encoder sends *names*; its media time zero is now."""
        timeline = Timeline()
        timeline.observe(0, 0, self.clock.now_ms() if zero_ms is None else zero_ms, leads=True)
        number = self.publication.next_generation(0)
        self.run = Run(number, self.publication, timeline, self.published.append)
        self.run.down = {name: False for name in names if name != SOURCE}
        for name in names:
            self.publication.describe(name, number, SETUP)
        self._at = dict.fromkeys(names, (0, 0))

    def send(self, name: str, seconds: float = 1.0, count: int = 1, *, closes: bool = True) -> None:
        """*count* segments of so many seconds, in parts of 0.2 s; *closes*: the last one is complete."""
        for each in range(count):
            segment, at = self._at[name]
            left = round(seconds * 1000)
            opens = True
            while left > 0:
                lasts = min(200, left)
                left -= lasts
                ends = left == 0 and (closes or each < count - 1)
                self.run.take(name, Part(segment, at, lasts, opens, opens, ends, 6, PIECE))
                at += lasts
                opens = False
            self._at[name] = (segment + 1, at)

    def miss(self, name: str, seconds: float = 1.0) -> None:
        """*name* misses a segment."""
        segment, at = self._at[name]
        self._at[name] = (segment + 1, at + round(seconds * 1000))

    def text(self, name: str = SOURCE) -> bytes:
        """What players get."""
        found = self.publication.find(name)
        assert found is not None
        return self.publication.text(found)

    async def read(self, name: str = SOURCE) -> playlist.Media:
        """The playlist in the folder."""
        await self.filing.settled()
        return playlist.read((self.folder / name / "index.m3u8").read_bytes())

    async def raw(self, name: str = SOURCE) -> bytes:
        """The same, as it stands there."""
        await self.filing.settled()
        return (self.folder / name / "index.m3u8").read_bytes()

    async def names(self, pattern: str) -> list[str]:
        """Files by name."""
        await self.filing.settled()
        return sorted(path.name for path in self.folder.glob(pattern))


@pytest.fixture(name="show")
async def _show(tmp_path: Path) -> Show:
    return await Show(tmp_path, HandClock()).open()


async def test_nothing_is_shown_before_the_target_duration_is_known(show: Show) -> None:
    """It may never change, so two groups of 1 s or one of 2 s are looked at; then everything held back is there at once."""
    show.begin(SOURCE)
    show.send(SOURCE, 0.95)
    assert show.publication.find(SOURCE) is None
    assert show.publication.variants.text() is None
    show.send(SOURCE, 2.0)
    assert playlist.read(show.text()).target == 2
    assert (await show.read()).segments[0].duration == 0.95
    assert FIRST_MS < 950 + 2000


async def test_a_short_broadcast_is_shown_when_it_ends(show: Show) -> None:
    """Even one that is shorter than what is held back."""
    show.begin(SOURCE)
    show.send(SOURCE, 0.6)
    show.run.finish()
    assert [each.duration for each in (await show.read()).segments] == [0.6]
    assert show.published == [SOURCE]


async def test_the_first_segments_set_the_target_duration_of_all(show: Show) -> None:
    """Of every rendition, for good: also for one that begins with shorter segments, and for the next process."""
    show.begin(SOURCE, RUNG)
    show.send(SOURCE, 3.0)
    show.send(RUNG, 3.0)
    show.send(SOURCE, 1.0)
    show.send(RUNG, 1.0)
    assert [(await show.read(name)).target for name in (SOURCE, RUNG)] == [3, 3]
    later = await Show(show.folder, show.clock).open()
    assert later.publication.longest_ms() == show.publication.longest_ms() == 3499


async def test_a_quality_is_listed_after_its_first_segment(show: Show) -> None:
    """An empty one in the master playlist stalled a player three times ten seconds."""
    show.begin(SOURCE, RUNG)
    show.send(SOURCE, count=2)
    show.send(RUNG, 0.4, closes=False)
    assert list(multivariant.read(show.publication.variants.text() or b"")) == ["source/index.m3u8"]
    assert show.publication.find(RUNG) is None


async def test_renditions_agree_on_numbers_dates_and_discontinuities(show: Show) -> None:
    """One that missed a whole generation has gaps in its place and numbers the next like the other."""
    for generation in range(3):
        names = (SOURCE,) if generation == 1 else (SOURCE, RUNG)
        show.begin(*names)
        for name in names:
            show.send(name, count=2)
        show.clock.advance(5)
    raw = [await show.raw(name) for name in (SOURCE, RUNG)]
    assert rules.check_variants(raw) == []
    top, small = (playlist.read(each) for each in raw)
    assert [each.discontinuity for each in top.segments] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert [each.gap for each in top.segments] == [False, False, True] * 2 + [False] * 2
    assert [each.gap for each in small.segments] == [False] * 2 + [True] * 4 + [False] * 2
    assert [(each.msn, each.discontinuity, each.date) for each in small.segments] == [
        (each.msn, each.discontinuity, each.date) for each in top.segments
    ]


async def test_a_dead_transcoder_leaves_a_gap(show: Show) -> None:
    """What it had begun is filled up with parts that are none; numbers stay those of the passthrough."""
    show.begin(SOURCE, RUNG)
    show.send(SOURCE, count=3)
    show.send(RUNG, count=2)
    show.send(RUNG, 0.4, closes=False)
    before = show.text(RUNG)
    assert b"part-1000012" in before
    show.run.down[RUNG] = True
    show.send(SOURCE)
    show.miss(RUNG)
    show.run.down[RUNG] = False
    show.send(SOURCE)
    show.send(RUNG)
    small = await show.read(RUNG)
    assert [each.gap for each in small.segments] == [False, False, True, True, False]
    assert [each.duration for each in small.segments] == [1.0] * 5
    assert rules.check_update(before.replace(b"#EXT-X-PART:", b"#-"), await show.raw(RUNG)) == []
    text = show.text(RUNG).decode()
    parts = [line for line in text.splitlines() if line.startswith("#EXT-X-PART:")]
    assert sum("GAP=YES" in line for line in parts) == 3 + 5
    # Numbers of parts are spent for gaps too: none is ever used twice.
    numbers = [int(line.partition("part-")[2].partition(".")[0]) for line in parts]
    assert numbers == sorted(set(numbers))
    assert f'URI="part-{numbers[-1] + 1}.m4s"' in text


async def test_who_joins_during_an_outage_sees_nothing_old(show: Show) -> None:
    """The segments before it are gaps for players, and stay what they are in the folder."""
    show.begin(SOURCE)
    show.send(SOURCE, count=3)
    show.publication.outdate()
    assert show.text().count(b"#EXT-X-GAP") == 3
    show.clock.advance(4)
    show.begin(SOURCE)
    show.send(SOURCE, SETTLE_MS / 1000 - 0.1, closes=False)
    assert show.text().count(b"#EXT-X-DISCONTINUITY\n") == 0
    show.run.take(SOURCE, Part(0, 400, 200, independent=False, opens=False, closes=False, pictures=6, data=PIECE))
    text = show.text()
    assert text.count(b"#EXT-X-GAP") == 3 + 1
    assert text.partition(b"#EXT-X-DISCONTINUITY\n")[2].count(b"#EXT-X-PART:") == 3
    assert b"GAP" not in await show.raw()


async def test_a_later_process_goes_on(show: Show) -> None:
    """Higher numbers, a discontinuity, later dates; the segment that was begun is lost by name; no file is written again."""
    show.begin(SOURCE)
    show.send(SOURCE, count=4)
    show.send(SOURCE, 0.4, closes=False)
    older, before = (
        await show.raw(),
        {name: (show.folder / SOURCE / name).read_bytes() for name in await show.names("source/s*")},
    )
    spent = show.text()

    later = await Show(show.folder, show.clock).open()
    # The wall clock was set back meanwhile: dates go on all the same.
    later.begin(SOURCE, zero_ms=show.clock.now_ms() - 60_000)
    later.send(SOURCE, count=2)
    newer = await later.raw()
    assert rules.check_media(newer) == []
    assert rules.check_update(older, newer) == []
    found = await later.read()
    assert [each.uri for each in found.segments[3:]] == ["segment-1-3.m4s", "lost-4.m4s", "segment-2-5.m4s", "segment-2-6.m4s"]
    assert [each.gap for each in found.segments[3:]] == [False, True, False, False]
    # What began later than it was seen comes back, a little with every segment.
    one, two = (each.date for each in found.segments[-2:])
    assert one is not None
    assert two is not None
    assert two - one == pytest.approx(1 - DOWN / 1000)
    assert all((show.folder / SOURCE / name).read_bytes() == raw for name, raw in before.items())
    assert not {line for line in later.text().splitlines() if b"part-" in line} & set(spent.splitlines())


async def test_files_stay_while_a_player_may_ask_for_them(show: Show) -> None:
    """A segment that left the playlist can be fetched for as long as the playlist lasts, then goes; so do old maps."""
    most = 0
    for _ in range(2):
        show.begin(SOURCE)
        for at in range(50):
            show.send(SOURCE)
            show.clock.advance(1)
            if show.publication.find(SOURCE) is None:
                continue
            listed = {each.uri for each in (await show.read()).segments}
            files = set(await show.names("source/*.m4s"))
            assert listed <= files
            assert len(files) >= min(at + 1, 2 * WINDOW)
            most = max(most, len(files))
    assert most <= 2 * WINDOW + 3
    assert await show.names("source/init-*") == ["init-2.mp4"]


async def test_what_a_dead_process_left_is_swept(show: Show) -> None:
    """Half-written files at once, files that no playlist names after a while."""
    show.begin(SOURCE)
    show.send(SOURCE, count=2)
    await show.filing.settled()
    (show.folder / SOURCE / "segment-1-2.m4s.part").write_bytes(b"half")
    (show.folder / SOURCE / "segment-1-2.m4s").write_bytes(b"never listed")
    later = await Show(show.folder, show.clock).open()
    assert not (show.folder / SOURCE / "segment-1-2.m4s.part").exists()
    later.begin(SOURCE)
    later.clock.advance(60)
    later.send(SOURCE, count=2)
    assert "segment-1-2.m4s" not in await later.names("source/*.m4s")


async def test_a_quality_that_is_no_longer_made_is_withdrawn(show: Show) -> None:
    """It leaves the master playlist and its own playlist goes: players move on instead of waiting."""
    show.begin(SOURCE, RUNG)
    for name in (SOURCE, RUNG):
        show.send(name, count=2)
    show.publication.keep_only([SOURCE])
    assert list(multivariant.read(show.publication.variants.text() or b"")) == ["source/index.m3u8"]
    assert show.publication.find(RUNG) is None
    assert await show.names("144p/index.m3u8") == []
    assert show.publication.variants.qualities([SOURCE, RUNG]) == ["360p"]


async def test_a_damaged_playlist_does_not_stop_a_stream(show: Show) -> None:
    """A playlist that cannot be read back is begun anew, under names that were never used."""
    show.publication.generation = 6
    show.begin(SOURCE)
    show.send(SOURCE, count=2)
    await show.filing.settled()
    (show.folder / SOURCE / "index.m3u8").write_bytes(b"\xff\x00")
    later = await Show(show.folder, show.clock).open()
    assert later.publication.next_generation(0) == 8
    assert later.publication.next_generation(70) == 70


async def test_memory_is_bounded(show: Show) -> None:
    """Parts and segments that nobody may ask for any more are let go of, however long the show."""
    show.begin(SOURCE)
    sizes = set()
    for _ in range(60):
        show.send(SOURCE)
        found = show.publication.find(SOURCE)
        if found is not None:
            sizes.add(sum(found.held(f"part-{number}.m4s") is not None for number in range(1_000_000, 1_000_400)))
    assert max(sizes) <= 5 * 7


async def test_who_lost_the_stream_writes_nothing(tmp_path: Path) -> None:
    """A worker that was paused past its lease must not overwrite its successor's playlist."""
    show = await Show(tmp_path, HandClock()).open()
    holds = [True]
    show.filing = Filing(lambda: holds[0], fail)
    show.publication.filing = show.filing
    show.begin(SOURCE)
    show.send(SOURCE, count=2)
    before = await show.raw()
    holds[0] = False
    show.send(SOURCE, count=2)
    assert await show.raw() == before
    assert await show.names("source/segment*") == ["segment-1-0.m4s", "segment-1-1.m4s"]


async def test_a_disk_that_hangs_is_told() -> None:
    """Writes that wait are bounded, and the first failure ends them: no playlist names what was not written."""
    failures: list[OSError] = []
    done: list[int] = []
    filing = Filing(lambda: True, failures.append)
    for number in range(MOST + 1):
        filing.put(lambda number=number: done.append(number))  # type: ignore[misc]  # a job per number
    await filing.settled()
    assert len(failures) == 1
    assert done == []

    def broken() -> None:
        message = "full"
        raise OSError(message)

    filing.put(broken)
    filing.put(lambda: done.append(1))
    await filing.settled()
    assert len(failures) == 2
    assert done == []
