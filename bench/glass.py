"""Glass to glass: from the moment a picture is made to the moment a player in Chromium shows it.

python -m bench.glass --seconds 60 --players page,hls.js,shaka,video.js,plain,native
"""

import argparse
import asyncio
import functools
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.async_api import Browser, async_playwright

from bench import results
from bench.broadcast import Broadcast, broadcast
from bench.cpu import cost
from bench.options import Options, parse, parser
from bench.results import Plot, Table
from scripts import node
from tests import glass

FOLDER = Path(__file__).resolve().parent / "players"
PLAYERS = ("page", "hls.js", "shaka", "video.js", "plain", "native")
#: At the beginning a player looks for its place.
SETTLES_S = 10.0
#: What is wanted of each player: (percentile, seconds).
WANTED = {
    "page": [(0.5, 1.0), (0.95, 1.2)],
    "hls.js": [(0.5, 1.0), (0.95, 1.2)],
    "shaka": [(0.5, 0.8)],
    "video.js": [(0.5, 0.8)],
    "plain": [(0.95, 3.3)],
    "native": [(0.5, 10.0)],
}
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


async def watch(browser: Browser, pages_url: str, player: str, made: Broadcast, seconds: float) -> dict[str, Any]:
    """Play with one player; what was read."""
    page = await browser.new_page()
    try:
        if player == "page":
            await page.goto(f"{made.url}/watch/{made.stream_id}")
            await page.wait_for_selector("video")
        else:
            await page.goto(f"{pages_url}/page.html?player={player}&url={quote(made.master, safe='')}")
        before = cost(made.worker.pid), cost(made.gateway.pid)
        reading = await glass.read(page, seconds + SETTLES_S, skip_s=SETTLES_S)
        spent = cost(made.worker.pid).since(before[0]), cost(made.gateway.pid).since(before[1])
        told: dict[str, Any] = await page.evaluate(TOLD)
    finally:
        await page.close()
    return {
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


async def run(options: Options) -> list[dict[str, Any]]:
    """All players, one after the other, on one broadcast."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    found: list[dict[str, Any]] = []
    with pages() as url:
        async with async_playwright() as playwright, broadcast(rate=options.more.rate, settings=options.settings) as made:
            browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
            for number in range(options.rounds):
                for player in options.more.players.split(","):
                    run = await watch(browser, url, player, made, options.seconds)
                    found.append({"player": player, "round": number + 1, **run})
                    print(found[-1], flush=True)
            await browser.close()
    return found


def tell(result: results.Result, runs: list[dict[str, Any]]) -> None:
    """The runs as tables and criteria."""
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
    ]
    rows = [
        [
            *(str(run["player"]), str(run["version"])),
            *(f"{run[name]:.3f}" for name in ("p50", "p95", "max")),
            *(f"{run['stalls']} ({run['early_stalls']})", f"{run['frozen_s']:.1f}", f"{run['starts_s']:.2f}"),
            *(f"{run['errors']} ({len(run['fatal'])} fatal)", f"{run['worker']:.3f}"),
        ]
        for run in runs
    ]
    result.tables.append(Table("From glass to glass", columns, rows))
    series: dict[str, list[tuple[str | float, float]]] = {"p50": [], "p95": []}
    for player in dict.fromkeys(run["player"] for run in runs):
        mine = [run for run in runs if run["player"] == player]
        for share, bound in WANTED[player]:
            name = f"p{round(share * 100)}"
            result.want(f"{player}: {name} s", max(run[name] for run in mine), at_most=bound)
        result.want(f"{player}: stalls", sum(run["stalls"] for run in mine), at_most=0)
        for name, points in series.items():
            points.append((player, max(run[name] for run in mine)))
    result.plots.append(Plot("glass", "bars", "From glass to glass", "player", "seconds", series))
    result.notes.append("page is the watch page: hls.js with a pace of its own; plain is hls.js two segments behind")
    result.notes.append(
        "native is Chromium's own player; the first 10 s are not counted, but for stalls in brackets and frozen seconds"
    )
    result.rounds = runs


def main() -> None:
    """Run the command line."""
    made = parser("glass", __doc__, viewers=1, seconds=60.0, rounds=1)
    made.add_argument(
        "--players", default=",".join(PLAYERS), help="of page, hls.js, shaka, video.js, plain, native (default all)"
    )
    made.add_argument("--rate", default="4M", help="the encoder's bit rate (default %(default)s)")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parse(made)
    result = results.begin("glass", "Glass to glass", options, picture="1280x720, 30/s", keyframes="every 1 s")
    tell(result, asyncio.run(run(options)))
    result.finish()


if __name__ == "__main__":
    main()
