"""A private stream as people have it: the page of somebody who is invited, and then is not, in Chromium."""

import time
from pathlib import Path

import pytest
from playwright.async_api import Page, Response

from tests.browser import chromium
from tests.encoders import Encoder, picture_and_tone
from tests.processes import Client
from tests.ups import running
from tests.waits import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.media, pytest.mark.timeout(300)]

#: The contract says 2 s; what a page hears of an answer comes later on a busy machine, and the address would hold for 12.
CUT_S = 6.0
#: How long a playback address holds here: a page lives through the end of one.
URL_S = 12
#: Signs in as the page does, without a form.
SIGN_IN = """async () => {
  const answer = await fetch("/api/v1/session", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({name: "Bea"}),
  });
  const session = await answer.json();
  localStorage.setItem("ovation.session", JSON.stringify(session));
  return session.user.id;
}"""


async def _plays(page: Page) -> None:
    await page.wait_for_function("() => (document.querySelector('video')?.currentTime ?? 0) > 1", timeout=45_000)


async def _ended(video: list[tuple[str, int, float]]) -> int:
    """Wait until an address is refused; where that stands."""
    await eventually(lambda: any(status == 404 for _, status, _ in video), timeout=URL_S + 20)
    return next(n for n, (_, status, _) in enumerate(video) if status == 404)


async def test_a_private_stream_plays_for_the_invited_until_they_are_not(tmp_path: Path) -> None:
    """A stranger's page has nothing; invited, it plays by signed addresses, one after the other; uninvited, it ends."""
    async with (
        running(tmp_path, transcode_heights=0, gateways=2, playback_url_h=URL_S / 3600) as up,
        await Client(up.url).guest() as ada,
        chromium() as browser,
    ):
        answer = await ada.http.post("/streams/start", json={"title": "Ours", "privacy": "private"})
        stream = answer.json()
        stream_id, where = stream["stream_id"], f"{up.url}/watch/{stream['stream_id']}"
        encoder = await Encoder.start(
            f"rtmp://127.0.0.1:{up.ports['rtmp_port']}/live/{stream['stream_key']}", *picture_and_tone(120)
        )
        try:
            page = await browser.new_page()
            video: list[tuple[str, int, float]] = []

            def seen(response: Response) -> None:
                if "/hls/" in response.url:
                    video.append((response.url, response.status, time.monotonic()))

            page.on("response", seen)
            await page.goto(up.url)
            bea = await page.evaluate(SIGN_IN)
            await page.goto(where)
            await page.get_by_text("This stream is not here").wait_for()
            assert await page.get_by_test_id("own-id").inner_text() == bea
            assert video == []

            invitation = f"/streams/{stream_id}/invitations/{bea}"
            assert (await ada.http.put(invitation)).status_code == 200
            await page.goto(where)
            await _plays(page)
            assert [url for url, _, _ in video if "/~" not in url] == []

            # The address ends; the page gets another one, and plays on.
            ended = await _ended(video)
            await eventually(lambda: any(status == 200 and ".m4s" in url for url, status, _ in video[ended:]))
            assert video[ended][0].split("/")[5] != video[-1][0].split("/")[5]

            assert (await ada.http.delete(invitation)).status_code == 204
            taken_back = time.monotonic()
            await page.get_by_text("This stream is not here").wait_for(timeout=30_000)
            assert [url for url, status, at in video if status == 200 and at > taken_back + CUT_S] == []
        finally:
            encoder.kill()
            await encoder.process.communicate()
