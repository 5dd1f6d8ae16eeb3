"""Players in Chromium, when something happens to the encoder or the line: they go on by themselves, and soon."""

import asyncio
from collections.abc import Sequence

import pytest
from playwright.async_api import Page

from bench.adaptive import WIDE
from bench.broadcast import broadcast
from bench.glass import PLAYERS, TOLD, chromium, open_player, pages
from bench.outage import away_s, discontinuities
from tests import glass
from tests.lossy import Link, lossy
from tests.shows import passed
from tests.waits import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.media, pytest.mark.nats, pytest.mark.timeout(180)]

SIZE = (320, 180)
AWAY_S = 4.0
#: What a player may take beyond the encoder's absence, on a busy machine; on a quiet one it is nothing (bench/README.md).
#: Shaka, when it waited for its idea of the live window, took 6 s at the least.
SOON_S = 5.0


#: By what has been played, for a player's time may begin at the live edge: Shaka's was past a second before its first picture.
PLAYED = """() => {
  const played = document.querySelector("video")?.played ?? [];
  return Array.from(played, (_, n) => played.end(n) - played.start(n)).reduce((all, each) => all + each, 0) > 2;
}"""


async def _plays(page: Page) -> None:
    await page.wait_for_function(PLAYED, timeout=60_000)


async def _read(shown: Sequence[Page], seconds: float) -> list[glass.Reading]:
    return list(await asyncio.gather(*(glass.read(page, seconds) for page in shown)))


async def test_players_outlive_an_outage() -> None:
    """hls.js, Shaka and video.js stand still for little longer than the encoder is away, once, and without an error of Shaka's.

    Shaka once waited for 10 to 17 s, until its idea of the live window had come by, with two dozen errors.
    """
    names = ("hls.js", "shaka", "video.js")
    settings = {"transcode_heights": 0}
    with pages() as url:
        async with (
            broadcast(size=SIZE, rate="500k", settings=settings) as made,
            glass.camera(*SIZE) as camera,
            chromium() as browser,
        ):
            shown = [await (await browser.new_context()).new_page() for _ in names]
            for page, name in zip(shown, names, strict=True):
                await open_player(page, url, PLAYERS[name], made, made.port)
            await asyncio.gather(*map(_plays, shown))
            breaks = await discontinuities(made)
            reading = asyncio.create_task(_read(shown, AWAY_S + 10))
            made.encoder.kill()
            await passed(AWAY_S)
            async with made.publish(by=camera):
                during = await reading
                await eventually(lambda: _moves(shown))
                told = [await page.evaluate(TOLD) for page in shown]
                assert await discontinuities(made) == breaks + 1
            frozen = {name: each.frozen_s for name, each in zip(names, during, strict=True)}
            assert max(frozen.values()) < away_s(made) + SOON_S, (frozen, [each["errors"] for each in told])
            # They were there; that they move again was waited for.
            assert min(frozen.values()) > 1, frozen
            assert [each["fatal"] for each in told] == [[], [], []]
            assert told[names.index("shaka")]["errors"] == []


async def _moves(shown: Sequence[Page]) -> bool:
    return max(each.frozen_s for each in await _read(shown, 2)) < 1


async def _height(page: Page, height: int) -> None:
    await page.wait_for_function(f"() => document.querySelector('video').videoHeight === {height}", timeout=60_000)


SLOWEST = """() => {
  const video = document.querySelector("video");
  window.slowest = 1;
  video.addEventListener("ratechange", () => { window.slowest = Math.min(window.slowest, video.playbackRate); });
}"""


async def test_the_page_changes_quality_with_the_line() -> None:
    """A line that falls below the picture's bit rate, and widens again: down and up, playing slower meanwhile.

    How long it stands on a machine that does nothing else is in bench/README.md: not at all.
    """
    with pages() as url:
        async with broadcast(size=SIZE, rate="900k", settings={"transcode_heights": 144}) as made, chromium() as browser:
            link = Link(round_trip_s=0.04, jitter_s=0.0, stalls=0.0, rate=WIDE)
            async with lossy(made.port, link):
                page = await browser.new_page()
                await open_player(page, url, PLAYERS["page"], made, link.port)
                await _plays(page)
                await _height(page, 180)
                await page.evaluate(SLOWEST)
                reading = asyncio.create_task(glass.read(page, 20))
                link.rate = 540e3 / 8
                await _height(page, 144)
                link.rate = WIDE
                await _height(page, 180)
                read = await reading
                assert await page.evaluate("() => window.slowest") < 1
                assert read.frozen_s < 10
                assert (await page.evaluate(TOLD))["fatal"] == []
