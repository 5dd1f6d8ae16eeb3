"""What the page shows beside the chat: viewers and state as the newest word has them, and how much of a busy chat."""

from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from tests.browser import chromium
from tests.processes import Client
from tests.ups import running

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(120)]

ABOVE_THE_END = "box => box.scrollHeight - box.scrollTop - box.clientHeight"


async def test_what_events_told_is_newer_than_a_slow_answer(tmp_path: Path) -> None:
    """The stream's record may be read before its viewers are counted, and arrive after: the count on the page stays right."""
    async with running(tmp_path) as up, chromium() as browser:
        async with await Client(up.url).guest("Ada") as ada:
            stream_id = (await ada.start("A slow answer"))["stream_id"]
            before = (await ada.http.get(f"/streams/{stream_id}")).json()
        assert before["viewer_count"] == 0
        page = await browser.new_page()

        async def late(route: Route) -> None:
            await expect(page.get_by_test_id("viewer-count")).to_contain_text("1 watching")
            await route.fulfill(json=before)

        await page.route(f"**/api/v1/streams/{stream_id}", late)
        await page.goto(f"{up.url}/watch/{stream_id}")
        await expect(page.locator("h1")).to_have_text("A slow answer")
        await expect(page.get_by_test_id("viewer-count")).to_contain_text("1 watching")


async def test_what_happened_before_the_page_was_connected_counts(tmp_path: Path) -> None:
    """The stream's record may be read before an event that the log has when the page connects: the page is told of it once."""
    async with running(tmp_path) as up, chromium() as browser:
        async with await Client(up.url).guest("Ada") as ada:
            stream_id = (await ada.start("An early answer"))["stream_id"]
            before = (await ada.http.get(f"/streams/{stream_id}")).json()
            assert (await ada.http.post(f"/streams/{stream_id}/end")).status_code == 200
        page = await browser.new_page()
        await page.route(f"**/api/v1/streams/{stream_id}", lambda route: route.fulfill(json=before))
        await page.goto(f"{up.url}/watch/{stream_id}")
        await expect(page.locator("h1")).to_have_text("An early answer")
        await expect(page.get_by_text("This stream has ended")).to_be_visible()


async def test_a_sampled_chat_says_how_much_it_shows(tmp_path: Path) -> None:
    """A quiet line tells how many of how many; it goes when everything is shown, and never covers the newest comment."""
    async with running(tmp_path, policy="0:50:1000:0.5:0") as up, chromium() as browser:
        async with await Client(up.url).guest("Ada") as ada:
            stream_id = (await ada.start())["stream_id"]
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        await page.goto(f"{up.url}/watch/{stream_id}")
        await expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live")
        line = page.get_by_test_id("sampled")
        await expect(line).to_have_count(0)
        for round_ in range(12):
            async with await Client(up.url).guest(f"Guest {round_}") as guest:
                for number in range(5):
                    assert (await guest.post(stream_id, f"comment {round_}.{number}")).status_code == 201
        await expect(line).to_contain_text("showing")
        shown, of = (int(word) for word in (await line.inner_text()).split() if word.isdecimal())

        assert 0 <= shown < of <= 60
        assert await page.locator(".chat-scroll").evaluate(ABOVE_THE_END) <= 1
        await expect(line).to_have_count(0)
