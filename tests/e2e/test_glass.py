"""Low latency as a person has it: the watch page in Chromium, on a source that burns the wall clock into its pictures."""

import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests import glass
from tests.processes import Client, environment
from tests.ups import Up, running
from tests.waits import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.media, pytest.mark.timeout(300)]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--autoplay-policy=no-user-gesture-required", "--no-first-run"]


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


async def _errors(page: Page) -> int:
    return int(await page.evaluate("() => Number(document.querySelector('video').dataset.errors ?? 0)"))


async def test_the_picture_is_fresh_and_outlives_encoder_and_worker(up: Up) -> None:
    """Half of what is shown is less than 2.5 s old, and nothing stalls for 10 s.

    An encoder that is killed and returns after 4 s, and a media worker that is killed, freeze the picture, which then goes on
    by itself: the page is not reloaded, and the player meets no error that it cannot mend.
    """
    watch, rtmp = await _started(up)
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, "Chromium is missing: run scripts/chromium.sh, or set CHROMIUM"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS, env=environment())  # type: ignore[arg-type]  # a dict of strings
        page = await browser.new_page()
        async with glass.source(rtmp):
            await page.goto(watch)
            await _plays(page)
            await page.evaluate("() => { window.sameDocument = true; }")
            reading = await glass.read(page, 14, skip_s=4)
            assert len(reading.samples) > 20
            assert reading.at(0.5) < 2.5, sorted(reading.samples)
            assert (reading.stalls, await _errors(page)) == (0, 0)
        outage = await glass.read(page, 4)
        assert outage.frozen_s > 1
        async with glass.source(rtmp):
            await _fresh(page, 2.5, 25)
            os.kill(int(up.row("worker media")["pid"]), signal.SIGKILL)
        # An encoder that loses its worker comes back as it would after any loss.
        await up.ready("worker media")
        async with glass.source(rtmp):
            await _fresh(page, 2.5, 40)
        assert await page.evaluate("() => window.sameDocument === true")
        assert await _errors(page) == 0
        await browser.close()
