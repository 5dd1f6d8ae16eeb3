"""A recording of a `LongShow` as players get it, looked at to the last picture: decoded by ffmpeg, played by Chromium."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from playwright.async_api import Browser, Page, Route

from bench import reel
from bench.longshow import LongShow
from bench.reel import FPS, LENGTH_MS
from schemas.times import parse_rfc3339
from tests import recorded
from tests.alignment import WATCH, WRAP, Alignment
from tests.shows import opened

WIDTH = 1280
AT_A_TIME = 2
#: After a seek the chat is filled with what was said before; what is said from then on has to come with its picture.
SETTLES_MS = 1500


class Segment(Struct):
    """One segment of the playlist: when it says it was shown, for how long, and the clocks in its pictures."""

    init: str
    uri: str
    begins_s: float
    date_ms: int
    lasts_s: float
    breaks: bool
    clocks: list[int] = field(default_factory=list)
    complaints: str = ""


def spread(values: list[float]) -> dict[str, float]:
    """Percentiles of *values*."""
    ordered = sorted(values) or [float("inf")]
    return {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * at))] for name, at in (("p50", 0.5), ("p95", 0.95), ("max", 1))
    }


def distance(one: int, two: int) -> int:
    """Between two clocks, whichever is ahead."""
    apart = abs(one - two)
    return min(apart, LENGTH_MS - apart)


@dataclass
class Copy:
    """All of one recording, fetched over HTTP."""

    show: LongShow
    segments: list[Segment]
    mp4: Path
    api_s: float

    @property
    def lasts_s(self) -> float:
        """By the playlist."""
        return sum(each.lasts_s for each in self.segments)

    @property
    def borders_s(self) -> list[float]:
        """Where it breaks, in seconds from its beginning."""
        return [each.begins_s for each in self.segments if each.breaks]

    def clock_at(self, seconds: float) -> int:
        """The clock in the picture that is shown so long after the beginning."""
        segment = next(each for each in reversed(self.segments) if each.begins_s <= seconds)
        return segment.clocks[min(len(segment.clocks) - 1, int((seconds - segment.begins_s) * FPS))]

    def sent_ms(self, shown: int, near_ms: int) -> int:
        """When the picture was sent that says *shown*."""
        return self.show.take_at(near_ms).sent_ms(shown, near_ms)

    async def examined(self) -> dict[str, Any]:
        """All but what takes a browser."""
        shown = [clock for each in self.segments for clock in each.clocks]
        in_film, complaints = await reel.clocks(self.mp4, WIDTH)
        off = [abs(each.date_ms - self.sent_ms(each.clocks[0], each.date_ms)) for each in self.segments if each.clocks]
        return {
            "hls_s": self.lasts_s,
            "mp4_s": await recorded.lasts_s(self.mp4),
            "api_s": self.api_s,
            "segments": len(self.segments),
            "broken": sum(bool(each.complaints) or not each.clocks for each in self.segments),
            "sent": sum(each.pictures for each in self.show.takes),
            "there": len(shown),
            "bad": self._out_of_order(shown),
            "mp4_differs": sum(one != two for one, two in zip(shown, in_film, strict=False)) + abs(len(shown) - len(in_film)),
            "complaints": complaints.splitlines(),
            "dates": spread([float(each) for each in off]),
        }

    def _out_of_order(self, shown: list[int]) -> int:
        """Pictures that do not follow the one before, but for the first of each take, which is the reel's first."""
        follows = {reel.clock(n): reel.clock((n + 1) % (LENGTH_MS * FPS // 1000)) for n in range(LENGTH_MS * FPS // 1000)}
        breaks = sum(follows.get(one) != two for one, two in pairwise(shown)) - len(self.borders_s)
        return (
            abs(breaks) + sum(each < 0 for each in shown) + sum(each.clocks[:1] != [0] for each in self.segments if each.breaks)
        )


async def fetched(show: LongShow, folder: Path) -> Copy:
    """Fetch the passthrough and the MP4, and decode every segment by itself."""
    http = show.ada.http
    told = (await http.get(f"/streams/{show.stream_id}/recording")).json()
    mp4 = folder / f"{show.stream_id}.mp4"
    with mp4.open("wb") as file:
        async with http.stream("GET", told["mp4_url"]) as answer:
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                file.write(piece)
    base = told["hls_url"].rpartition("/")[0] + "/source/"

    async def get(uri: str) -> bytes:
        return (await http.get(base + uri)).raise_for_status().content

    turns = asyncio.Semaphore(AT_A_TIME)

    async def decode(segment: Segment) -> None:
        async with turns:
            data = await get(segment.init) + await get(segment.uri)
            segment.clocks, segment.complaints = await reel.clocks(data, WIDTH)

    segments = listed((await get("index.m3u8")).decode())
    await asyncio.gather(*(decode(each) for each in segments))
    return Copy(show, segments, mp4, told["duration_s"])


def listed(playlist: str) -> list[Segment]:
    """The segments of a playlist."""
    segments: list[Segment] = []
    at, init, date_ms, lasts, breaks = 0.0, "", 0, 0.0, False
    for line in playlist.splitlines():
        tag, _, value = line.partition(":")
        if tag == "#EXT-X-MAP":
            init = value.removeprefix('URI="').rstrip('"')
        elif tag == "#EXT-X-PROGRAM-DATE-TIME":
            date_ms = parse_rfc3339(value)
        elif tag == "#EXT-X-DISCONTINUITY":
            breaks = True
        elif tag == "#EXTINF":
            lasts = float(value.rstrip(","))
        elif line and not line.startswith("#"):
            segments.append(Segment(init, line, at, date_ms, lasts, breaks))
            at, breaks = at + lasts, False
    return segments


async def film(browser: Browser, show: LongShow, copy: Copy, places: int) -> dict[str, Any]:
    """Play the MP4 in Chromium, two seconds in each of so many places, and over its end."""
    told = (await show.ada.http.get(f"/streams/{show.stream_id}/recording")).json()
    page = await browser.new_page()
    html = f"<video src='{told['mp4_url']}' muted preload='auto' width='640'></video>"

    async def alone(route: Route) -> None:
        await route.fulfill(body=f"<!doctype html><body>{html}</body>", content_type="text/html")

    await page.route("**/film.html", alone)
    await page.goto(f"{show.up.url}/film.html")
    await page.evaluate(WATCH)
    await page.wait_for_function("() => document.querySelector('video').readyState >= 2", timeout=30_000)
    borders = [at - 1 for at in copy.borders_s]
    even = [copy.lasts_s * n / places for n in range(places - len(borders))]
    off, failed = [], 0
    for place in sorted([*borders, *even]):
        played = await _played(page, place)
        apart = distance(played["clock"], copy.clock_at(played["at"]))
        off.append(apart)
        failed += played["clock"] < 0 or played["error"] or played["at"] < place + 1.9 or apart > 100
    played = await _played(page, copy.lasts_s - 1, "video.ended")
    failed += not played["ended"] or played["error"]
    lasts_s = float(await page.evaluate("() => document.querySelector('video').duration"))
    await page.close()
    return {"places": places + 1, "failed": failed, "off_ms": max(off), "lasts_s": lasts_s}


async def _played(page: Page, place: float, until: str = "") -> dict[str, Any]:
    """Play from *place* for two seconds, or *until* something is true; where it is then, and what its clock says."""
    until = until or f"video.currentTime >= {place + 2}"
    found: dict[str, Any] = await page.evaluate(
        f"""async () => {{
          const video = document.querySelector("video");
          video.currentTime = {place};
          await video.play();
          const began = Date.now();
          while (!({until}) && Date.now() - began < 20000) await new Promise((done) => setTimeout(done, 20));
          video.pause();
          await new Promise((done) => setTimeout(done, 200));
          return {{ at: video.currentTime, clock: window.burnt(), ended: video.ended, error: !!video.error }};
        }}"""
    )
    return found


class Talk(Alignment):
    """What was read of the chat in some stretches of a recording, and what should have been."""

    def __init__(self, copy: Copy, seen: list[tuple[str, int, float]], wanted: set[str]) -> None:
        said = {each: copy.show.said[each] for each in wanted}
        read = [each for each in seen if each[0] in said]
        super().__init__(
            [(name, copy.sent_ms(clock, said[name]) % WRAP if clock >= 0 else -1) for name, clock, _ in read], said
        )
        # The picture on the screen against the one of the player's own time: what a busy machine adds.
        late = [distance(clock, copy.clock_at(at)) for _, clock, at in read if clock >= 0]
        self.told = {
            "comments": len(wanted),
            "read": len(self.errors),
            "share": len(self.errors) / max(1, len(wanted)),
            "median": sorted(self.errors)[len(self.errors) // 2] if self.errors else None,
            **{name: self.at(at) for name, at in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))},
            "player": spread([float(each) for each in late]),
        }


async def talk(browser: Browser, show: LongShow, copy: Copy, places: list[float], seconds: float, shift_ms: int = 0) -> Talk:
    """Play stretches of the recording on the watch page; what was said in them, against the pictures it came with."""
    page = await opened(browser, show, shift_ms)
    seen: list[tuple[str, int, float]] = []
    wanted: set[str] = set()
    try:
        await page.wait_for_function("() => document.querySelector('video')?.readyState >= 2", timeout=30_000)
        for place in places:
            await page.evaluate(f"() => {{ document.querySelector('video').currentTime = {place}; }}")
            await page.wait_for_function(
                "() => !document.querySelector('video').seeking && document.querySelector('video').readyState >= 2"
            )
            await page.evaluate("() => document.querySelector('video').play()")
            done = f"() => document.querySelector('video').currentTime >= {place + seconds}"
            await page.wait_for_function(done, timeout=(seconds * 2 + 30) * 1000)
            begins, ends = _moment(copy, place) + SETTLES_MS, _moment(copy, place + seconds) - 1000
            wanted |= {each for each, at in show.said.items() if begins <= at < ends and each not in show.unfilmed}
            seen = [tuple(each) for each in await page.evaluate("() => window.showed")]
    finally:
        await page.close()
    return Talk(copy, seen, wanted)


def _moment(copy: Copy, seconds: float) -> int:
    """The wall time so long after the recording's beginning."""
    segment = next(each for each in reversed(copy.segments) if each.begins_s <= max(0.0, seconds))
    return segment.date_ms + round((seconds - segment.begins_s) * 1000)
