"""Low latency as a person has it: the watch page in Chromium, on a source that burns the wall clock into its pictures."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests import glass
from tests.browser import chromium
from tests.processes import Client
from tests.ups import Up, running
from tests.waits import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.media, pytest.mark.timeout(300)]

#: Readings, of which one has to be good: whoever tests something else meanwhile has the two cores for seconds at a time.
READINGS = 3


@pytest.fixture(name="up")
async def _up(tmp_path: Path) -> AsyncIterator[Up]:
    async with running(tmp_path, transcode_heights=0, gateways=2) as up:
        yield up


async def _started(up: Up) -> tuple[str, str]:
    """A stream: its page and where its encoder publishes."""
    async with await Client(up.url).guest() as ada:
        stream = await ada.start()
    port = up.ports["rtmp_port"]
    return f"{up.url}/watch/{stream['stream_id']}", f"rtmp://127.0.0.1:{port}/live/{stream['stream_key']}"


async def _plays(page: Page) -> None:
    await page.wait_for_function("() => (document.querySelector('video')?.currentTime ?? 0) > 1", timeout=30_000)


async def _fresh(page: Page, seconds: float, timeout: float) -> None:
    """Wait until the picture is at most so old, and moves."""

    async def is_fresh() -> bool:
        reading = await glass.read(page, 1.0)
        return bool(reading.samples) and reading.at(0.5) < seconds and reading.frozen_s < 0.5

    await eventually(is_fresh, timeout=timeout)


def _is_good(reading: glass.Reading) -> bool:
    """Whether half of it is fresh, and nothing stalled."""
    return len(reading.samples) > 20 and reading.at(0.5) < 2.5 and reading.stalls == 0


async def _errors(page: Page) -> int:
    return int(await page.evaluate("() => Number(document.querySelector('video').dataset.errors ?? 0)"))


async def test_the_picture_is_fresh_and_outlives_encoder_and_worker(up: Up) -> None:
    """Half of what is shown is less than 2.5 s old, and nothing stalls for 10 s, in one of three readings.

    An encoder that is killed and returns after 4 s, and a media worker that is killed, freeze the picture, which then goes on
    by itself: the page is not reloaded, and the player meets no error that it cannot mend.
    """
    watch, rtmp = await _started(up)
    async with chromium() as browser:
        page = await browser.new_page()
        async with glass.source(rtmp):
            await page.goto(watch)
            await _plays(page)
            await page.evaluate("() => { window.sameDocument = true; }")
            readings = [await glass.read(page, 14, skip_s=4)]
            while len(readings) < READINGS and not _is_good(readings[-1]):
                readings.append(await glass.read(page, 14, skip_s=4))
            assert _is_good(readings[-1]), [(sorted(each.samples), each.stalls) for each in readings]
            assert await _errors(page) == 0
        outage = await glass.read(page, 6)
        assert outage.frozen_s > 1
        async with glass.source(rtmp):
            await _fresh(page, 2.5, 60)
            killed = int(up.row("worker media")["pid"])
            os.kill(killed, signal.SIGKILL)
        # An encoder that loses its worker comes back as it would after any loss.
        await eventually(lambda: up.row("worker media")["pid"] not in (None, killed))
        await up.ready("worker media")
        async with glass.source(rtmp):
            await _fresh(page, 2.5, 90)
        assert await page.evaluate("() => window.sameDocument === true")
        assert await _errors(page) == 0
