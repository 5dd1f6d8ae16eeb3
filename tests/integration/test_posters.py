"""The pictures of what is live: replaced as the stream goes on, whole at every moment, and made again where they failed."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.clock import HandClock
from infra.objects.folder import Folder
from tests import recorded
from tests.encoders import FFMPEG, STREAM, MemoryRegistry
from workers.media.recording.posters import AGAIN_S, EVERY_S, FORMER, Posters

pytestmark = pytest.mark.media


class Ordered(Folder):
    """A home that looks, at each change, whether what is there fits together."""

    names: list[str]

    async def put(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put`."""
        await super().put(name, data)
        await self.fits()

    async def fits(self) -> None:
        """The cues name a picture that is there."""
        self.names = await recorded.names(self)
        if "strip/index.vtt" in self.names:
            named = set(re.findall(r"^(\S+)#xywh", (await self.read(f"{STREAM}/strip/index.vtt")).decode(), re.MULTILINE))
            assert len(named) == 1
            assert f"strip/{named.pop()}" in self.names


def live(init: bytes, part: bytes) -> Any:  # noqa: ANN401 - what Posters uses of a broadcast
    """A broadcast that shows one picture for ever."""
    publication = SimpleNamespace(picture=lambda: (init, part))
    return SimpleNamespace(publication=publication, publisher=1, lease=SimpleNamespace(held=True), ended=False)


async def test_the_pictures_of_what_is_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poster and one more picture in the strip every half a minute; who has the cues has their picture, for a while after."""
    monkeypatch.setattr("workers.media.recording.posters.MOST_LOAD", 1000)
    init, parts = await recorded.filmed(1)
    broadcasts = {STREAM: live(init, parts[0].data)}
    home, registry, clock = Ordered(tmp_path / "home"), MemoryRegistry(), HandClock()
    posters = Posters(
        broadcasts=cast("Any", broadcasts),
        home=home,
        registry=registry,
        program=Path(FFMPEG),
        work=tmp_path / "work",
        clock=clock,
    )
    for count in range(1, 13):
        assert await posters.round()
        assert not await posters.round()
        await home.fits()
        assert len([name for name in home.names if name.startswith("strip/")]) == min(count, FORMER + 1) + 1
        cues = (await home.read(f"{STREAM}/strip/index.vtt")).decode()
        assert cues.count("-->") == count
        clock.advance(EVERY_S)
    strip = tmp_path / "home" / STREAM / "strip" / re.findall(r"^(\S+)#", cues, re.MULTILINE)[0]
    _, told = await recorded.ffmpeg("-i", strip)
    assert "1600x180" in told
    _, told = await recorded.ffmpeg("-i", tmp_path / "home" / STREAM / "poster.jpg")
    assert "320x180" in told
    assert registry.pictures == {STREAM}
    del broadcasts[STREAM]
    assert not await posters.round()


async def test_a_poster_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is made again within seconds; nobody is told of what is not there."""
    monkeypatch.setattr("workers.media.recording.posters.MOST_LOAD", 1000)
    init, parts = await recorded.filmed(1)
    registry, clock, program = MemoryRegistry(), HandClock(), tmp_path / "ffmpeg"
    posters = Posters(
        broadcasts=cast("Any", {STREAM: live(init, parts[0].data)}),
        home=Folder(tmp_path / "home"),
        registry=registry,
        program=program,
        work=tmp_path / "work",
        clock=clock,
    )
    assert await posters.round()
    assert registry.pictures == set()
    assert not await posters.round()
    program.symlink_to(FFMPEG)
    clock.advance(AGAIN_S)
    assert await posters.round()
    assert registry.pictures == {STREAM}
    clock.advance(AGAIN_S)
    assert not await posters.round()
