"""A recording becomes visible whole, whoever dies while it is made; it is kept as long as it shall, and no longer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.clock import HandClock
from infra.errors import Unavailable
from infra.objects.folder import Folder
from schemas.media import Event, RecordingFailed, RecordingReady
from schemas.records import Recorded
from tests import recorded
from tests.encoders import FFMPEG, STREAM, MemoryRegistry
from tests.waits import eventually
from workers.media.ownership import Alone
from workers.media.recording.claims import Unshared
from workers.media.recording.duties import DAY_MS, LIVE_MS, MOST_AGAIN_S, OTHERS_S, SWEEP_S, TRIES, Duties
from workers.media.recording.finishing import Finishing, Lost
from workers.media.recording.recordings import Recordings
from workers.media.recording.spool import Spool
from workers.media.streams import StreamChanged

pytestmark = pytest.mark.media
BEGAN_MS = 1_799_999_000_000
#: What has the version of the recording in its name.
FILES = (("recording", "mp4"), ("poster", "jpg"), ("strip", "jpg"), ("strip", "vtt"))


class Dying(Folder):
    """A home that takes so many objects of a finished recording, and then is gone."""

    left = 10**6

    async def put(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put`, while it lives."""
        self._count()
        await super().put(name, data)

    async def put_file(self, name: str, path: Path) -> None:
        """As `ObjectStore.put_file`, while it lives."""
        self._count()
        await super().put_file(name, path)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            msg = "the home is gone"
            raise Unavailable(msg)


def finishing(home: Folder, folder: Path, program: Path = Path(FFMPEG)) -> Finishing:
    """With the real ffmpeg, unless told otherwise."""
    return Finishing(home=home, program=program, work=folder / "work", clock=HandClock())


async def test_whoever_dies_in_the_middle_is_followed_by_another(tmp_path: Path) -> None:
    """After any object: the multivariant playlist is there only when all it needs is, and the next one comes to the same."""
    home = Dying(tmp_path / "home")
    film = await recorded.filmed(2)
    lasts_ms = await recorded.keep(home, "source", 7, film, BEGAN_MS)
    lasts_ms += await recorded.keep(home, "source", 9, film, BEGAN_MS + 10_000)
    raw = set(await recorded.names(home))
    made: Recorded | None = None
    for tries in range(20):
        home.left = tries
        try:
            made = await finishing(home, tmp_path).finish(STREAM, lambda: True)
            break
        except Unavailable:
            assert "recording/master.m3u8" not in await recorded.names(home)
            assert raw <= set(await recorded.names(home))
        assert not (tmp_path / "work" / STREAM).exists()
    assert made is not None
    assert (made.duration_ms, made.mp4) == (lasts_ms, True)
    assert tries == 7
    there = await recorded.brought(home, tmp_path / "copy")
    assert await recorded.complaints(there / "master.m3u8") == ""
    mp4 = recorded.only(there, "recording-*.mp4")
    assert await recorded.pictures(mp4) == 120
    assert abs(await recorded.lasts_s(mp4) - lasts_ms / 1000) < 0.1


async def test_what_comes_home_late_has_another_address(tmp_path: Path) -> None:
    """What caches keep for ever stays as it was; made again of the same it has the same address."""
    home = Folder(tmp_path / "home")
    film = await recorded.filmed(1)
    await recorded.keep(home, "source", 7, film, BEGAN_MS)
    first = await finishing(home, tmp_path).finish(STREAM, lambda: True)
    there = await recorded.brought(home, tmp_path / "first")
    kept = {path.name: path.read_bytes() for path in there.iterdir() if path.is_file() and path.suffix != ".m3u8"}
    await recorded.keep(home, "source", 9, film, BEGAN_MS + 10_000)
    second = await finishing(home, tmp_path).finish(STREAM, lambda: True)
    again = await finishing(home, tmp_path).finish(STREAM, lambda: True)
    assert first is not None
    assert second is not None
    assert again is not None
    assert (first.pictures, second.pictures) == (True, True)
    assert first.version != second.version == again.version
    there = await recorded.brought(home, tmp_path / "second")
    assert kept.keys() == {f"{name}-{first.version}.{kind}" for name, kind in FILES}
    assert {name: (there / name).read_bytes() for name in kept} == kept
    assert len(list(there.glob("*-*.*"))) == 2 * len(FILES)
    assert await recorded.pictures(there / f"recording-{second.version}.mp4") == 60
    assert f"\nstrip-{second.version}.jpg#" in (there / f"strip-{second.version}.vtt").read_text()


async def test_who_lost_the_claim_puts_nothing(tmp_path: Path) -> None:
    """A worker that was paused while it made an MP4 finds that it is somebody else's."""
    home = Folder(tmp_path / "home")
    await recorded.keep(home, "source", 7, await recorded.filmed(1), BEGAN_MS)
    before = await recorded.names(home)
    with pytest.raises(Lost):
        await finishing(home, tmp_path).finish(STREAM, lambda: False)
    assert await recorded.names(home) == before


async def test_an_encoder_that_comes_back_with_another_format(tmp_path: Path) -> None:
    """HLS goes on over it; the MP4 is of the rendition that stayed the same, and there is none where none did."""
    home = Folder(tmp_path / "home")
    small, large = await recorded.filmed(1), await recorded.filmed(1, size="640x360")
    await recorded.keep(home, "source", 7, small, BEGAN_MS)
    await recorded.keep(home, "source", 9, large, BEGAN_MS + 5000)
    made = await finishing(home, tmp_path).finish(STREAM, lambda: True)
    assert made is not None
    assert not made.mp4
    assert made.size_bytes > 0
    there = await recorded.brought(home, tmp_path / "without")
    assert (there / "source" / "index.m3u8").read_text().count("#EXT-X-MAP") == 2
    for generation in (7, 9):
        # ffmpeg itself does not go over a change of format in HLS; players do.
        pieces = [there / "source" / f"init-{generation}.mp4", *sorted((there / "source").glob(f"*-{generation}-*.m4s"))]
        (tmp_path / "joined.mp4").write_bytes(b"".join(piece.read_bytes() for piece in pieces))
        assert await recorded.complaints(tmp_path / "joined.mp4") == ""
    assert await recorded.complaints(recorded.only(there, "strip-*.jpg")) == ""
    assert not list(there.glob("*.mp4"))
    for generation, at in ((7, 0), (9, 5000)):
        await recorded.keep(home, "144p", generation, small, BEGAN_MS + at)
    made = await finishing(home, tmp_path).finish(STREAM, lambda: True)
    assert made is not None
    assert made.mp4
    there = await recorded.brought(home, tmp_path / "with")
    assert await recorded.pictures(recorded.only(there, "recording-*.mp4")) == 60


async def test_an_ffmpeg_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded number of tries the recording is there without its MP4 and its pictures."""
    monkeypatch.setattr("workers.media.recording.finishing.AGAIN_S", 0)
    home = Folder(tmp_path / "home")
    await recorded.keep(home, "source", 7, await recorded.filmed(1), BEGAN_MS)
    broken = Finishing(home=home, program=Path("/bin/false"), work=tmp_path / "work", clock=HandClock())
    made = await broken.finish(STREAM, lambda: True)
    assert made is not None
    assert (made.mp4, made.pictures) == (False, False)
    there = await recorded.brought(home, tmp_path / "copy")
    assert await recorded.complaints(there / "master.m3u8") == ""
    assert [path.name for path in sorted(there.iterdir())] == ["master.m3u8", "source"]


async def test_an_ffmpeg_that_fails_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MP4 and pictures are each tried again."""
    monkeypatch.setattr("workers.media.recording.finishing.AGAIN_S", 0)
    home = Folder(tmp_path / "home")
    await recorded.keep(home, "source", 7, await recorded.filmed(1), BEGAN_MS)
    for kind in ("faststart", "mjpeg"):
        failed = tmp_path / kind
        once = tmp_path / f"ffmpeg-{kind}"
        text = f'case "$*" in *{kind}*) [ -e {failed} ] || {{ touch {failed}; exit 1; }};; esac\nexec {FFMPEG} "$@"\n'
        once.write_text("#!/bin/sh\n" + text)
        once.chmod(0o755)
        made = await Finishing(home=home, program=once, work=tmp_path / "work", clock=HandClock()).finish(STREAM, lambda: True)
        assert failed.exists()
        assert made is not None
        assert (made.mp4, made.pictures) == (True, True)


class Told:
    """A journal that keeps what it is told."""

    worker = "media-1"

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        """As `Journal.tell`."""
        self.events.append(event)


class Keeper:
    """The duties of one worker, with a clock that is moved by hand."""

    def __init__(self, home: Folder, folder: Path, program: Path) -> None:
        self.clock = HandClock()
        self.registry = MemoryRegistry()
        self.journal = Told()
        self.live = folder / "live"
        self.recordings = Recordings(home, Spool(folder / "spool", 10**9), self.clock)
        self.duties = Duties(
            recordings=self.recordings,
            finishing=finishing(home, folder, program),
            registry=self.registry,
            ownership=Alone(),
            claims=Unshared(),
            live=self.live,
            clock=self.clock,
            journal=self.journal,
            retention_days=30,
        )

    def changed(self, **fields: object) -> None:
        """A stream's record changed."""
        self.duties.changed(StreamChanged(STREAM, "", **fields))  # type: ignore[arg-type]  # tests name them right

    async def after(self, seconds: float) -> None:
        """Let time pass, and what is due be done."""
        self.clock.advance(seconds)
        await self.duties.tick()
        await self.duties.finished()


@asynccontextmanager
async def keeper(home: Folder, folder: Path, program: Path = Path(FFMPEG)) -> AsyncIterator[Keeper]:
    """At work."""
    made = Keeper(home, folder, program)
    await made.recordings.open()
    try:
        yield made
    finally:
        await made.duties.stop()
        await made.recordings.close()


async def test_a_recording_that_a_dead_worker_left_is_finished(tmp_path: Path) -> None:
    """By another that knows it from its record alone, after those who may had their time; the live files go later."""
    home = Folder(tmp_path / "home")
    await recorded.keep(home, "source", 7, await recorded.filmed(1), BEGAN_MS)
    async with keeper(home, tmp_path) as at:
        (at.live / STREAM / "source").mkdir(parents=True)
        (at.live / STREAM / "recording").mkdir()
        at.changed(ended=True, shown=True, ended_ms=at.clock.now_ms())
        await at.after(OTHERS_S - 1)
        assert at.registry.recordings == []
        await at.after(1)
        assert [each for each, _ in at.registry.recordings] == [STREAM]
        (ready,) = at.journal.events
        assert isinstance(ready, RecordingReady)
        assert (ready.stream_id, ready.lease) == (STREAM, 0)
        at.changed(ended=True, shown=True, ended_ms=at.clock.now_ms(), recorded_ms=at.clock.now_ms())
        await at.after(LIVE_MS / 1000 - 1)
        assert (at.live / STREAM / "source").exists()
        await at.after(1)
        assert not (at.live / STREAM / "source").exists()
        assert (at.live / STREAM / "recording").exists()
        assert len(at.registry.recordings) == 1


async def test_a_recording_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    """Each time, and the last time as the last: then it is given up."""
    home = Folder(tmp_path / "home")
    await recorded.keep(home, "source", 7, await recorded.filmed(1), BEGAN_MS)
    await home.put(f"{STREAM}/recording/source/init-7.mp4", b"no initialisation segment")
    async with keeper(home, tmp_path) as at:
        at.changed(ended=True, shown=True, ended_ms=at.clock.now_ms())
        for _ in range(TRIES + 1):
            await at.after(MOST_AGAIN_S)
        told = [each for each in at.journal.events if isinstance(each, RecordingFailed)]
        assert [each.again for each in told] == [True] * (TRIES - 1) + [False]
        assert at.registry.recordings == []


async def test_a_recording_is_kept_for_its_time(tmp_path: Path) -> None:
    """To the day; then its objects are gone and its record says so, while the registry was away in between."""
    home = Folder(tmp_path / "home")
    await recorded.keep(home, "source", 7, await recorded.filmed(1), BEGAN_MS)
    async with keeper(home, tmp_path) as at:
        at.changed(ended=True, shown=True, ended_ms=at.clock.now_ms(), recorded_ms=at.clock.now_ms())
        await at.after(30 * DAY_MS / 1000)
        assert await recorded.names(home)
        at.registry.away = True
        await at.after(SWEEP_S)
        assert (await recorded.names(home), at.registry.recordings) == ([], [])
        at.registry.away = False
        await at.after(SWEEP_S)
        assert at.registry.recordings == [(STREAM, None)]


async def test_a_stream_is_deleted_while_its_recording_is_made(tmp_path: Path) -> None:
    """Whoever makes it stops, before everything goes."""
    home, program, begun = Folder(tmp_path / "home"), tmp_path / "ffmpeg", tmp_path / "begun"
    program.write_text(f'#!/bin/sh\ntouch {begun}\nsleep 1\nexec {FFMPEG} "$@"\n')
    program.chmod(0o755)
    await recorded.keep(home, "source", 7, await recorded.filmed(1), BEGAN_MS)
    async with keeper(home, tmp_path, program) as at:
        at.changed(ended=True, shown=True, ended_ms=at.clock.now_ms())
        at.clock.advance(OTHERS_S)
        await at.duties.tick()
        await eventually(begun.exists)
        at.changed(ended=True, deleted=True)
        await at.after(0)
        assert await recorded.names(home) == []
        assert at.registry.recordings == []


async def test_a_deleted_stream_leaves_nothing(tmp_path: Path) -> None:
    """Not at home, and not in the spool, where something still waited because the home was away."""
    home = Dying(tmp_path / "home")
    await recorded.keep(home, "source", 7, await recorded.filmed(1), BEGAN_MS)
    await home.put(f"{STREAM}/poster.jpg", b"x")
    waiting = tmp_path / "spool" / "0" / STREAM / "source"
    waiting.mkdir(parents=True)
    (waiting / "0000000007-7-7-1799999000000-1000.m4s").write_bytes(b"x")
    home.left = 0
    async with keeper(home, tmp_path) as at:
        assert at.recordings.spool.bytes == 1
        at.changed(ended=True, deleted=True)
        await at.after(0)
        assert await recorded.names(home) == []
        await eventually(lambda: not waiting.parent.exists())
        assert at.recordings.spool.bytes == 0
