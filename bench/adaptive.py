"""Three qualities in one stream, and a line that narrows and widens again: the player changes between them in full flow.

python -m bench.adaptive --narrow 2.6M
python -m bench.adaptive --players hls.js --add                 another player beside it

Everything passes one queue of 64 kB (tests/lossy.py), as before a router.
"""

import argparse
import asyncio
import time
from typing import Any

import httpx
from playwright.async_api import Page

from bench import results
from bench.broadcast import Broadcast, broadcast
from bench.glass import PLAYERS, chromium, open_player, pages
from bench.options import Options, parse, parser
from bench.results import Table
from tests import glass
from tests.lossy import Link, lossy
from tests.waits import eventually

HEIGHTS = (480, 360)
#: What a player takes to begin with the best quality, how long the line is narrow, and how long it is wide again.
BEGINS_S, NARROW_S, WIDE_S = 15.0, 20.0, 25.0
LOOK_S = 0.25
#: Bytes per second of the wide line. Loopback is so fast that a player takes half a minute to unlearn it.
WIDE = 12e6 / 8


async def _listed(made: Broadcast) -> None:
    """Wait until all qualities are in the multivariant playlist."""
    async with httpx.AsyncClient(timeout=10) as http:

        async def there() -> bool:
            return (await http.get(made.master)).text.count("#EXT-X-STREAM-INF") == 1 + len(HEIGHTS)

        await eventually(there, timeout=30)


async def _heights(page: Page, seconds: float) -> list[int]:
    """The heights of what is shown, each once when it changes."""
    seen: list[int] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        height = int(await page.evaluate("() => document.querySelector('video').videoHeight"))
        if height and (not seen or seen[-1] != height):
            seen.append(height)
        await asyncio.sleep(LOOK_S)
    return seen


async def watch(page: Page, link: Link, narrow: float) -> dict[str, Any]:
    """Play over a wide line, a narrow one, and a wide one."""
    first = await _heights(page, BEGINS_S)
    reading = asyncio.create_task(glass.read(page, NARROW_S + WIDE_S))
    link.rate = narrow / 8
    second = await _heights(page, NARROW_S)
    link.rate = WIDE
    third = await _heights(page, WIDE_S)
    read = await reading
    return {
        "wide": first,
        "narrow": second,
        "again": third,
        "stalls": read.stalls,
        "frozen_s": read.frozen_s,
        "p50": read.at(0.5),
        "p95": read.at(0.95),
    }


async def run(options: Options) -> list[dict[str, Any]]:
    """Each player on the same broadcast."""
    found: list[dict[str, Any]] = []
    heights = ",".join(map(str, HEIGHTS))
    with pages() as url:
        settings = {"transcode_heights": heights, **options.settings}
        async with broadcast(rate=options.more.rate, settings=settings) as made, chromium() as browser:
            await _listed(made)
            for number in range(options.rounds):
                for player in options.more.players.split(","):
                    link = Link(round_trip_s=0.04, jitter_s=0.0, stalls=0.0, rate=WIDE)
                    async with lossy(made.port, link):
                        page = await browser.new_page()
                        await open_player(page, url, PLAYERS[player], made, link.port)
                        await page.wait_for_function("() => (document.querySelector('video')?.currentTime ?? 0) > 0")
                        got = await watch(page, link, _bits(options.more.narrow))
                        await page.close()
                    found.append({"player": player, "round": number + 1, **got})
                    print(found[-1], flush=True)
    return found


def _bits(rate: str) -> float:
    return float(rate.removesuffix("M")) * 1e6


def tell(result: results.Result, runs: list[dict[str, Any]]) -> None:
    """The runs as a table and criteria."""
    columns = ["player", "line wide", "narrow", "wide again", "stalls", "frozen s", "p50 s", "p95 s"]
    rows = []
    for run in runs:
        shown = [" → ".join(map(str, run[phase])) for phase in ("wide", "narrow", "again")]
        numbers = [f"{run['stalls']}", f"{run['frozen_s']:.1f}", f"{run['p50']:.2f}", f"{run['p95']:.2f}"]
        rows.append([run["player"], *shown, *numbers])
        if run["player"] != "page":
            # With their own rules, to compare with.
            continue
        result.want(f"{run['player']}: stalls", run["stalls"], at_most=0)
        lower, higher = min(run["narrow"]) < run["wide"][-1], run["again"][-1] > min(run["narrow"])
        result.want(f"{run['player']}: changed down and up", float(lower + higher), at_least=2)
    result.tables.append(Table("Lines of the picture", columns, rows))
    result.rounds = runs


def main() -> None:
    """Run the command line."""
    made = parser("adaptive", __doc__, viewers=1, seconds=NARROW_S + WIDE_S, rounds=1)
    made.add_argument("--players", default="page", help="of those of bench.glass (default %(default)s)")
    made.add_argument("--rate", default="3M", help="the encoder's bit rate (default %(default)s)")
    made.add_argument("--narrow", default="2.6M", help="the narrow line's bits per second (default %(default)s)")
    made.add_argument("--add", action="store_true", help="keep the runs of other players from the time before")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parse(made)
    result = results.begin("adaptive", "A line that narrows", options, picture="1280x720", qualities="720, 480, 360")
    runs = asyncio.run(run(options))
    tell(result, results.added("adaptive", runs, list(PLAYERS)) if options.more.add else runs)
    result.finish()


if __name__ == "__main__":
    main()
