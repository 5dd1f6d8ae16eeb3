"""The watch page in real Chromium on sources that are not H.264: it plays what it can, and nothing breaks over the rest."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browser import chromium
from tests.encoders import AAC, PICTURE, TONE, Encoder
from tests.processes import Client
from tests.ups import Up, running

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.media, pytest.mark.timeout(300)]

CODECS = {
    "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=30:min-keyint=30:open-gop=0:log-level=error"),
    "av1": ("-c:v", "libsvtav1", "-preset", "11", "-svtav1-params", "pred-struct=1", "-g", "30"),
}
FETCHED = """() => performance.getEntriesByType('resource').map((each) => each.name)"""


async def play(up: Up, page: Page, codec: str) -> set[str]:
    """Broadcast in *codec* and watch it for three seconds: the renditions that were fetched."""
    async with await Client(up.url).guest() as ada:
        stream = await ada.start()
    rate = ("-readrate", "1")
    url = f"rtmp://127.0.0.1:{up.ports['rtmp_port']}/live/{stream['stream_key']}"
    words = (*rate, *PICTURE, *rate, *TONE, "-t", "60", *CODECS[codec], "-pix_fmt", "yuv420p", *AAC)
    encoder = await Encoder.start(url, *words)
    try:
        await page.goto(f"{up.url}/watch/{stream['stream_id']}")
        await page.wait_for_function("() => (document.querySelector('video')?.currentTime ?? 0) > 3", timeout=90_000)
        assert await page.evaluate("() => document.querySelector('video').videoWidth") in (256, 320)
        assert await page.evaluate("() => document.querySelector('video').dataset.errors ?? '0'") == "0"
        fetched = [url.split("/") for url in await page.evaluate(FETCHED) if url.endswith(".m4s")]
        return {words[-2] for words in fetched}
    finally:
        encoder.kill()
        await encoder.process.wait()


async def test_the_page_plays_hevc_and_av1_sources(tmp_path: Path) -> None:
    """HEVC, which this browser does not have, in H.264; AV1 in whichever it likes; without an error that is seen."""
    async with running(tmp_path) as up, chromium() as browser:
        pages = [await browser.new_page() for _ in CODECS]
        hevc, av1 = await asyncio.gather(*(play(up, page, codec) for page, codec in zip(pages, CODECS, strict=True)))
        supported = '(codec) => MediaSource.isTypeSupported(`video/mp4; codecs="${codec}"`)'
        plays = {codec: await pages[0].evaluate(supported, codec) for codec in ("hvc1.1.6.L60.90", "av01.0.00M.08")}
        assert plays["av01.0.00M.08"]
        assert plays["hvc1.1.6.L60.90"] or "source" not in hevc
        assert hevc
        assert av1
