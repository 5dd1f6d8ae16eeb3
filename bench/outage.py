"""An encoder that is killed and returns after 4 s, as players see it: how long the picture stands still, and what it costs.

python -m bench.outage --players page,hls.js,shaka,video.js
python -m bench.outage --players shaka --add                        in pieces: the others' runs are kept
"""

import argparse
import asyncio
import json
from typing import Any

import httpx
from playwright.async_api import Browser, Page

from bench import results
from bench.broadcast import Broadcast, broadcast
from bench.glass import PLAYERS, TOLD, chromium, open_player, pages
from bench.options import Options, parse, parser
from bench.results import Table
from schemas.times import parse_rfc3339
from tests import glass
from tests.hls import playlist

SIZE = (640, 360)
AWAY_S = 4.0
#: What a player takes to find its place, how long its latency is then read, and how long all of the outage may last.
SETTLES_S, READ_S, OVER_S = 6.0, 6.0, 16.0


async def discontinuities(made: Broadcast) -> int:
    """Of the newest segment, counted from the stream's beginning."""
    async with httpx.AsyncClient(timeout=10) as http:
        answer = await http.get(f"{made.url}{made.folder}source/index.m3u8")
    return playlist.read(answer.content).all[-1].discontinuity


def away_s(made: Broadcast) -> float:
    """How long the worker had no encoder: from the end of the one before the last to the last one's beginning to publish."""
    said = [json.loads(line) for line in made.worker.text.splitlines() if line.startswith("{")]
    back = max(parse_rfc3339(each["timestamp"]) for each in said if each["event"] == "publishing")
    gone = [parse_rfc3339(each["timestamp"]) for each in said if each["event"] == "publisher gone"]
    # The last one may have left again by now.
    return (back - max(each for each in gone if each < back)) / 1000


async def outage(page: Page, made: Broadcast, camera: glass.Camera) -> dict[str, Any]:
    """Kill the encoder under a player that plays, start another on *camera* after `AWAY_S`, and read on."""
    before, breaks = await glass.read(page, SETTLES_S + READ_S, skip_s=SETTLES_S), await discontinuities(made)
    await page.evaluate("() => { window.sameDocument = true; }")
    reading = asyncio.create_task(glass.read(page, OVER_S))
    made.encoder.kill()
    await asyncio.sleep(AWAY_S)
    async with made.publish(by=camera) as made.encoder:
        during = await reading
        after = await glass.read(page, READ_S)
        told: dict[str, Any] = await page.evaluate(TOLD)
        same = await page.evaluate("() => window.sameDocument === true")
        return {
            "before": before.at(0.5),
            "after": after.at(0.5),
            "away_s": away_s(made),
            "frozen_s": during.frozen_s,
            "stalls": during.stalls,
            "later_stalls": after.stalls,
            "discontinuities": await discontinuities(made) - breaks,
            "fatal": told["fatal"],
            "errors": len(told["errors"]),
            "reloaded": not same,
        }


async def watch(browser: Browser, pages_url: str, player: str, settings: dict[str, Any]) -> dict[str, Any]:
    """One player on a broadcast of its own."""
    async with (
        broadcast(size=SIZE, rate="1M", settings={"transcode_heights": 0, **settings}) as made,
        # It takes a second to prepare its pictures, as no camera does that has been running all the time.
        glass.camera(*SIZE) as camera,
    ):
        page = await browser.new_page()
        try:
            await open_player(page, pages_url, PLAYERS[player], made, made.port)
            return await outage(page, made, camera)
        finally:
            await page.close()


async def run(options: Options) -> list[dict[str, Any]]:
    """All players, one after the other."""
    found: list[dict[str, Any]] = []
    with pages() as url:
        async with chromium() as browser:
            for number in range(options.rounds):
                for player in options.more.players.split(","):
                    run = await watch(browser, url, player, dict(options.settings))
                    found.append({"player": player, "round": number + 1, **run})
                    print(found[-1], flush=True)
    return found


def tell(result: results.Result, runs: list[dict[str, Any]]) -> None:
    """The runs as a table and criteria."""
    columns = [
        "player",
        "before, p50 s",
        "after, p50 s",
        "no encoder for s",
        "frozen s",
        "stalls",
        "discontinuities",
        "errors",
        "reloaded",
    ]
    rows = [
        [
            *(str(run["player"]), f"{run['before']:.3f}", f"{run['after']:.3f}", f"{run['away_s']:.2f}"),
            f"{run['frozen_s']:.1f}",
            *(f"{run['stalls']} ({run['later_stalls']} later)", str(run["discontinuities"])),
            *(f"{run['errors']} ({len(run['fatal'])} fatal)", "yes" if run["reloaded"] else "no"),
        ]
        for run in runs
    ]
    result.tables.append(Table(f"Encoder away for {AWAY_S:g} s", columns, rows))
    for player in dict.fromkeys(run["player"] for run in runs):
        mine = [run for run in runs if run["player"] == player]
        result.want(f"{player}: frozen s", max(run["frozen_s"] for run in mine), at_most=5)
        result.want(f"{player}: latency after less before, s", max(run["after"] - run["before"] for run in mine), at_most=0.3)
        result.want(f"{player}: discontinuities", max(run["discontinuities"] for run in mine), at_most=1)
        result.want(f"{player}: fatal errors and reloads", sum(len(r["fatal"]) + r["reloaded"] for r in mine), at_most=0)
    result.rounds = runs


def main() -> None:
    """Run the command line."""
    made = parser("outage", __doc__, viewers=1, seconds=READ_S, rounds=1)
    made.add_argument("--players", default="page,hls.js,shaka,video.js", help="of those of bench.glass (default %(default)s)")
    made.add_argument("--add", action="store_true", help="keep the runs of other players from the time before")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parse(made)
    result = results.begin("outage", "An encoder that returns", options, picture="640x360, 30/s", keyframes="every 1 s")
    runs = asyncio.run(run(options))
    tell(result, results.added("outage", runs, list(PLAYERS)) if options.more.add else runs)
    result.finish()


if __name__ == "__main__":
    main()
