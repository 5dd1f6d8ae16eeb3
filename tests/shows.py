"""A show with its chat: two takes with the encoder away in between, its recording, and the page that plays it back."""

import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

from playwright.async_api import Browser, Page, Route

from schemas.times import parse_rfc3339
from tests import alignment, glass
from tests.processes import Client
from tests.ups import Up, running
from tests.waits import eventually

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--autoplay-policy=no-user-gesture-required", "--no-first-run"]
#: What was filmed in an encoder's last moment may be lost with it: nobody talks then.
QUIET_S = 1.2


class Show:
    """A stream of two takes with the encoder away in between, and what was said, by comment id."""

    def __init__(self, up: Up, ada: Client, stream_id: str) -> None:
        self.up, self.ada, self.stream_id = up, ada, stream_id
        #: When the log took each comment.
        self.said: dict[str, int] = {}
        self.numbers = itertools.count(1)
        self.away = ""

    async def say(self) -> str:
        """One comment; its id."""
        answer = (await self.ada.post(self.stream_id, f"number {next(self.numbers)}")).json()
        self.said[answer["comment_id"]] = parse_rfc3339(answer["at"])
        return str(answer["comment_id"])

    async def talk(self, seconds: float) -> None:
        """A comment every 0.37 s."""
        began, n = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            await self.say()
            n += 1
            await eventually(lambda: time.monotonic() - began >= 0.37 * n)  # noqa: B023 - awaited here

    async def is_recorded(self) -> bool:
        """Whether the recording can be played."""
        return (await self.ada.http.get(f"/streams/{self.stream_id}/recording")).status_code == 200

    async def video(self, state: str) -> None:
        """Wait until the video is in *state*."""

        async def reached() -> bool:
            return bool((await self.ada.http.get(f"/streams/{self.stream_id}")).json()["video"] == state)

        await eventually(reached)


@contextlib.asynccontextmanager
async def performed(folder: Path, takes: tuple[float, float]) -> AsyncIterator[Show]:
    """A show that has ended: so many seconds of talk in each take, the encoder away for two seconds and more between them."""
    limits = {"limit_user_stream": "1000/1", "limit_user": "1000/1"}
    async with running(folder, transcode_heights=0, **limits) as up, await Client(up.url).guest() as ada:
        stream = await ada.start("A past show")
        stream_id = stream["stream_id"]
        rtmp = f"rtmp://127.0.0.1:{up.ports['rtmp_port']}/live/{stream['stream_key']}"
        show = Show(up, ada, stream_id)
        async with glass.source(rtmp):
            await show.video("live")
            await show.talk(takes[0])
            await passed(QUIET_S)
        await show.video("interrupted")
        show.away = await show.say()
        await passed(2)
        async with glass.source(rtmp):
            await show.video("live")
            await passed(0.5)
            await show.talk(takes[1])
            await passed(QUIET_S)
        assert (await ada.http.post(f"/streams/{stream_id}/end")).status_code == 200
        await eventually(show.is_recorded, timeout=60)
        yield show


async def passed(seconds: float) -> None:
    """Wait until so much time has passed."""
    began = time.monotonic()
    await eventually(lambda: time.monotonic() - began >= seconds, timeout=seconds + 5)


async def opened(browser: Browser, show: Show, shift_ms: int = 0) -> Page:
    """The watch page with the recording, whose moments are moved by *shift_ms*."""
    page = await browser.new_page()

    async def moved(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=shifted(await answer.text(), shift_ms))

    await page.route("**/recording/*/index.m3u8", moved)
    await page.add_init_script(f"addEventListener('DOMContentLoaded', {alignment.WATCH})")
    await page.goto(f"{show.up.url}/watch/{show.stream_id}")
    return page


def shifted(playlist: str, shift_ms: int) -> str:
    """The playlist with every moment moved."""

    def move(found: re.Match[str]) -> str:
        moved = datetime.fromisoformat(found[1]) + timedelta(milliseconds=shift_ms)
        return "#EXT-X-PROGRAM-DATE-TIME:" + moved.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    return re.sub(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)", move, playlist)
