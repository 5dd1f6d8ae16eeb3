"""A past stream on the watch page, in real Chromium: its chat follows the picture, across a drop, seeks and pauses."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from schemas import codec, subjects
from schemas.items import Recording
from tests import alignment
from tests.alignment import Alignment
from tests.broker import broker
from tests.processes import environment
from tests.shows import FLAGS, Show, opened, passed, performed

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.media, pytest.mark.timeout(300)]

#: CI's bound; the bench has 100 ms.
P95_MS = 150
LOOKS = 3


@pytest.fixture(name="show")
async def _show(tmp_path: Path) -> AsyncIterator[Show]:
    async with performed(tmp_path, (5, 3)) as show:
        yield show


@contextlib.asynccontextmanager
async def _chromium() -> AsyncIterator[Browser]:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, "Chromium is missing: run scripts/chromium.sh, or set CHROMIUM"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS, env=environment())  # type: ignore[arg-type]  # a dict of strings
        yield browser
        await browser.close()


async def _moment(page: Page) -> int:
    return int(await page.evaluate("() => window.burnt()"))


async def _texts(page: Page) -> list[str]:
    return await page.get_by_test_id("comment-text").all_inner_texts()


async def test_the_chat_follows_the_picture(show: Show) -> None:
    """Each comment shows with the picture of its moment; those who were said while the encoder was away, when it is back.

    A removed comment is one that was removed. A pause stops the chat, a seek fills it anew, the speed is its own as well.
    Moments that are 300 ms off are noticed. Nobody can post; the page's reason and the MP4 are there. A machine that was busy
    elsewhere, and drew late or no picture, gets another look; moments that are off stay off.
    """
    gone = list(show.said)[2]
    assert (await show.ada.http.delete(f"/streams/{show.stream_id}/comments/{gone}")).status_code == 204
    async with _chromium() as browser:
        page, seen, aligned = await _watched(browser, show)
        for _ in range(LOOKS - 1):
            # Where the takes meet the player may have no picture for a moment: nothing says then which one it was.
            if aligned.at(0.95) < P95_MS and dict(seen)[show.away] >= 0:
                break
            await page.close()
            page, seen, aligned = await _watched(browser, show)

        assert [each for each, _ in seen] == list(show.said)
        assert len(aligned.errors) >= len(show.said) * 0.8, seen
        assert aligned.at(0.95) < P95_MS, aligned.errors
        assert dict(seen)[show.away] >= 0, "no picture could be read where the takes meet"
        assert alignment.apart(dict(seen)[show.away], show.said[show.away]) > 0
        await expect(page.locator(f"[data-comment-id='{gone}']")).to_contain_text("removed")
        await expect(page.get_by_test_id("composer")).to_have_count(0)
        await expect(page.locator(".composer")).to_contain_text("recording")
        await expect(page.get_by_test_id("download")).to_have_attribute(
            "href", re.compile(rf"{show.stream_id}.*/recording-[0-9a-f]{{8}}\.mp4$")
        )
        await _controls(page, show)
        await page.close()
        await _offer(browser, show)
        shifted = await opened(browser, show, shift_ms=300)
        await expect(shifted.locator(f"[data-comment-id='{list(show.said)[7]}']")).to_be_visible(timeout=20_000)
        assert Alignment(await alignment.showed(shifted), show.said).at(0.95) > P95_MS


async def _watched(browser: Browser, show: Show) -> tuple[Page, list[tuple[str, int]], Alignment]:
    """The page when all of it has been played, what showed when, and how far off that was."""
    page = await opened(browser, show)
    last = list(show.said)[-1]
    await expect(page.locator(f"[data-comment-id='{last}']")).to_be_visible(timeout=40_000)
    seen = await alignment.showed(page)
    return page, seen, Alignment(seen, show.said, {show.away})


async def _offer(browser: Browser, show: Show) -> None:
    """Who has the page open when a stream ends, and is recorded, is offered it; the chat stays until they take it."""
    stream_id = (await show.ada.start("Another show"))["stream_id"]
    page = await browser.new_page()
    path = f"/hls/{stream_id}/recording/"
    told = {"recording_id": "r", "hls_url": f"{path}master.m3u8", "mp4_url": None, "duration_s": 1}
    await page.route(f"**/streams/{stream_id}/recording", lambda route: route.fulfill(json=told))
    await page.goto(f"{show.up.url}/watch/{stream_id}")
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    await show.ada.post(stream_id, "still here")
    await show.ada.http.post(f"/streams/{stream_id}/end")
    await expect(page.locator(".composer")).to_contain_text("ended")
    await expect(page.get_by_test_id("watch-recording")).to_have_count(0)
    item = Recording(recording_id="r", hls_url=f"{path}master.m3u8", duration_s=1)
    async with broker(f"nats://127.0.0.1:{show.up.ports['nats_port']}", apply=False) as b:
        await b.publisher.publish(subjects.live(0, stream_id), codec.encode(item), "recorded")
    await expect(page.get_by_test_id("comment")).to_have_count(1)
    await page.get_by_test_id("watch-recording").click()
    await expect(page.locator(".composer")).to_contain_text("recording")
    await expect(page.get_by_test_id("comment")).to_have_count(0)
    await page.close()


async def _controls(page: Page, show: Show) -> None:
    """Seek back, pause, seek forward across the drop, speed."""
    order = list(show.said)
    await page.evaluate("() => { const v = document.querySelector('video'); v.pause(); v.currentTime = 3; }")
    await page.wait_for_function(
        "() => document.querySelector('video').readyState >= 2 && !document.querySelector('video').seeking"
    )
    moment = await _moment(page)
    past = [each for each in order if alignment.apart(moment, show.said[each]) > P95_MS]
    ahead = [each for each in order if alignment.apart(moment, show.said[each]) < -P95_MS]
    await expect(page.locator(f"[data-comment-id='{past[-1]}']")).to_be_visible()
    await expect(page.locator(f"[data-comment-id='{past[0]}']")).to_have_count(1)
    shown = await _texts(page)
    await passed(1.5)
    assert await _texts(page) == shown
    await expect(page.locator(f"[data-comment-id='{ahead[0]}']")).to_have_count(0)
    await page.evaluate("() => { const v = document.querySelector('video'); v.currentTime = v.duration - 1.5; }")
    await page.wait_for_function("() => !document.querySelector('video').seeking")
    await expect(page.locator(f"[data-comment-id='{show.away}']")).to_have_count(1)
    await expect(page.locator(f"[data-comment-id='{order[0]}']")).to_have_count(1)
    await page.evaluate("() => { document.querySelector('video').currentTime = 0; }")
    await expect(page.locator(f"[data-comment-id='{show.away}']")).to_have_count(0)
    await page.get_by_test_id("speed").select_option("2")
    began = time.monotonic()
    await page.evaluate("() => document.querySelector('video').play()")
    await expect(page.locator(f"[data-comment-id='{order[8]}']")).to_be_visible(timeout=10_000)
    # At its own speed it comes after 4.4 s; a busy machine takes 1 s for looking.
    assert time.monotonic() - began < 0.37 * 11
