"""Glass to glass: from the moment a picture is made to the moment a player in Chromium shows it.

python -m bench.glass --seconds 60 --players page,hls.js,hls.js-bare,shaka,video.js,plain,native
python -m bench.glass --seconds 60 --players shaka --add                    in pieces: the others' runs are kept
python -m bench.glass --seconds 60 --players page,hls.js --line lossy       through a poor line (tests/lossy.py)
"""

import argparse
import asyncio
import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from playwright.async_api import Browser, Page, async_playwright

from bench import results
from bench.broadcast import Broadcast, broadcast
from bench.cpu import cost
from bench.options import Options, parse, parser
from bench.results import Plot, Table
from scripts import node
from tests import glass
from tests.lossy import lossy

#: As documented for low latency, and more. It looks for what comes next with a tolerance of 0.25 s, and so leaves out a shorter
#: part whose segment is complete already. It begins nearer, for what beginning takes; and farther behind than 0.8 s it jumps.
HLSJS = {
    "lowLatencyMode": True,
    "maxFragLookUpTolerance": 0.05,
    "liveSyncOnStallIncrease": 0.25,
    "liveSyncDuration": 0.5,
    "liveMaxLatencyDuration": 0.8,
}
SHAKA_BARE = {"streaming": {"lowLatencyMode": True, "liveSync": {"enabled": True}}}
#: Its latency counts from where it would begin, which is this far behind what is listed.
SHAKA = {
    "manifest": {"defaultPresentationDelay": 0.4},
    "streaming": {"lowLatencyMode": True, "liveSync": {"enabled": True, "targetLatency": 0.1, "targetLatencyTolerance": 0.05}},
}
VIDEOJS = {"liveui": True, "html5": {"vhs": {"llhls": True, "overrideNative": True}}}
FOLDER = Path(__file__).resolve().parent / "players"


class Player(NamedTuple):
    """What plays, its documented settings, and what is wanted of it: (percentile, seconds)."""

    program: str
    settings: Mapping[str, Any]
    wanted: Sequence[tuple[float, float]]
    #: Seconds of buffer that the page of video.js keeps, by playing a little faster while there is more; 0: it does not.
    ahead: float = 0.0


PLAYERS = {
    "page": Player("page", {}, [(0.5, 1.0), (0.95, 1.2)]),
    "hls.js": Player("hls.js", HLSJS, [(0.5, 1.0), (0.95, 1.2)]),
    "hls.js-bare": Player("hls.js", {}, []),
    "shaka": Player("shaka", SHAKA, [(0.5, 0.8)]),
    "shaka-bare": Player("shaka", SHAKA_BARE, []),
    "video.js": Player("video.js", VIDEOJS, [(0.5, 0.8)], ahead=0.3),
    "video.js-bare": Player("video.js", VIDEOJS, []),
    "plain": Player("hls.js", {"lowLatencyMode": False, "liveSyncDurationCount": 2}, [(0.95, 3.3)]),
    "native": Player("native", {}, [(0.5, 10.0)]),
}
#: At the beginning a player looks for its place.
SETTLES_S = 10.0
#: What is wanted through a poor line, where a minute may have one stall, and what that line is.
LOSSY_S = 2.5
POOR = {"round trip": "40 ms", "jitter": "20 ms", "stalls": "1 % of chunks, for 250 ms"}
#: What a page tells of its player; the watch page tells less.
TOLD = """() => window.told ?? {
  fatal: Array(Number(document.querySelector("video").dataset.errors ?? 0)).fill("?"), errors: [], playing: 0, version: "",
}"""
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"),
    *("--autoplay-policy=no-user-gesture-required", "--no-first-run"),
]


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def pages() -> Iterator[str]:
    """Serve the players' page and packages, installed where they are missing; the address."""
    if not (FOLDER / "node_modules").is_dir():
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=FOLDER, env=node.environment(), check=True
        )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(FOLDER)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def open_player(page: Page, pages_url: str, player: Player, made: Broadcast, port: int) -> None:
    """Open *player* on what *port* serves."""
    base = f"http://127.0.0.1:{port}"
    if player.program == "page":
        await page.goto(f"{base}/watch/{made.stream_id}")
        await page.wait_for_selector("video")
        return
    asked = {"player": player.program, "settings": json.dumps(player.settings), "url": f"{base}{made.folder}master.m3u8"}
    if player.ahead:
        asked["ahead"] = str(player.ahead)
    await page.goto(f"{pages_url}/page.html?{urlencode(asked)}")


async def watch(browser: Browser, pages_url: str, player: Player, made: Broadcast, seconds: float, port: int) -> dict[str, Any]:
    """Play with one player; what was read."""
    page = await browser.new_page()
    try:
        await open_player(page, pages_url, player, made, port)
        before = cost(made.worker.pid), cost(made.gateway.pid)
        reading = await glass.read(page, seconds + SETTLES_S, skip_s=SETTLES_S)
        spent = cost(made.worker.pid).since(before[0]), cost(made.gateway.pid).since(before[1])
        told: dict[str, Any] = await page.evaluate(TOLD)
    finally:
        await page.close()
    return {
        "seconds": seconds,
        "load": os.getloadavg()[0],
        "p50": reading.at(0.5),
        "p95": reading.at(0.95),
        "max": reading.at(1.0),
        "samples": len(reading.samples),
        "unread": reading.bad,
        "stalls": reading.stalls,
        "early_stalls": reading.early_stalls,
        "frozen_s": reading.frozen_s,
        "starts_s": told["playing"] / 1000,
        "version": told["version"],
        "fatal": told["fatal"],
        "errors": len(told["errors"]),
        "worker": spent[0].seconds / (seconds + SETTLES_S),
        "gateway": spent[1].seconds / (seconds + SETTLES_S),
    }


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser of this machine."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


async def run(options: Options) -> list[dict[str, Any]]:
    """All players, one after the other, on one broadcast."""
    found: list[dict[str, Any]] = []
    settings = {"transcode_heights": 0, **options.settings}
    with pages() as url:
        async with (
            broadcast(rate=options.more.rate, settings=settings) as made,
            chromium() as browser,
            lossy(made.port) as link,
        ):
            port = link.port if options.more.line == "lossy" else made.port
            for number in range(options.rounds):
                for name in options.more.players.split(","):
                    run = await watch(browser, url, PLAYERS[name], made, options.seconds, port)
                    found.append({"player": name, "round": number + 1, **run})
                    print(found[-1], flush=True)
    return found


def tell(result: results.Result, runs: list[dict[str, Any]], *, line: bool) -> None:
    """The runs as tables and criteria; *line*: through a poor one."""
    columns = [
        "player",
        "version",
        "p50 s",
        "p95 s",
        "max s",
        "stalls (before)",
        "frozen s",
        "starts in s",
        "errors",
        "worker, core",
        "load",
    ]
    rows = [
        [
            *(str(run["player"]), str(run["version"])),
            *(f"{run[name]:.3f}" for name in ("p50", "p95", "max")),
            *(f"{run['stalls']} ({run['early_stalls']})", f"{run['frozen_s']:.1f}", f"{run['starts_s']:.2f}"),
            *(f"{run['errors']} ({len(run['fatal'])} fatal)", f"{run['worker']:.3f}", f"{run['load']:.1f}"),
        ]
        for run in runs
    ]
    result.tables.append(Table("From glass to glass", columns, rows))
    series: dict[str, list[tuple[str | float, float]]] = {"p50": [], "p95": []}
    for player in dict.fromkeys(run["player"] for run in runs):
        mine = [run for run in runs if run["player"] == player]
        for share, bound in [(0.95, LOSSY_S)] if line else PLAYERS[player].wanted:
            name = f"p{round(share * 100)}"
            result.want(f"{player}: {name} s", max(run[name] for run in mine), at_most=bound)
        if line or PLAYERS[player].wanted:
            result.want(
                f"{player}: stalls a minute", max(run["stalls"] * 60 / run["seconds"] for run in mine), at_most=int(line)
            )
        for name, points in series.items():
            points.append((player, max(run[name] for run in mine)))
    result.plots.append(Plot(result.name, "bars", "From glass to glass", "player", "seconds", series))
    result.notes.append("page is the watch page: hls.js with a pace of its own; hls.js-bare is hls.js without any setting")
    for player in dict.fromkeys(run["player"] for run in runs):
        if PLAYERS[player].settings:
            result.notes.append(f"settings of {player}: `{json.dumps(PLAYERS[player].settings)}`")
    result.notes.append(
        "native is Chromium's own player; the first 10 s are not counted, but for stalls in brackets and frozen seconds"
    )
    result.rounds = runs


def main() -> None:
    """Run the command line."""
    made = parser("glass", __doc__, viewers=1, seconds=60.0, rounds=1)
    made.add_argument("--players", default=",".join(PLAYERS), help="of %(default)s")
    made.add_argument("--line", choices=("loopback", "lossy"), default="loopback", help="between server and player")
    made.add_argument("--add", action="store_true", help="keep the runs of other players from the time before")
    made.add_argument("--rate", default="4M", help="the encoder's bit rate (default %(default)s)")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parse(made)
    line = options.more.line == "lossy"
    name, title = ("glass-lossy", "Glass to glass on a poor line") if line else ("glass", "Glass to glass")
    result = results.begin(name, title, options, picture="1280x720, 30/s", keyframes="every 1 s", **(POOR if line else {}))
    runs = asyncio.run(run(options))
    tell(result, results.added(name, runs, list(PLAYERS)) if options.more.add else runs, line=line)
    result.finish()


if __name__ == "__main__":
    main()
