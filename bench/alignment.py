"""A recording's chat against its picture: a comment shows with the picture of the moment at which it was said.

python -m bench.alignment --seconds 30
"""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright

from bench import results
from bench.options import Options, parse, parser
from bench.results import Table
from tests import alignment
from tests.alignment import Alignment
from tests.shows import FLAGS, Show, opened, performed

#: What the moments of the playlist are moved by in the run that has to miss.
PLANTED_MS = 300
P95_MS = 100.0


async def watch(browser: Browser, show: Show, speed: float, shift_ms: int) -> dict[str, Any]:
    """Play the whole show; what was read."""
    page = await opened(browser, show, shift_ms)
    try:
        if speed != 1:
            await page.get_by_test_id("speed").select_option(f"{speed:g}")
        last = list(show.said)[-1]
        await page.wait_for_selector(f"[data-comment-id='{last}']", timeout=300_000)
        seen = await alignment.showed(page)
    finally:
        await page.close()
    # The first comments may show before the first picture does.
    found = Alignment(seen, show.said, {show.away})
    signed = sorted(found.errors)
    return {
        "speed": speed,
        "shift_ms": shift_ms,
        "comments": len(show.said),
        "read": len(found.errors),
        "unread": found.unread,
        "median": signed[len(signed) // 2],
        "p50": found.at(0.5),
        "p95": found.at(0.95),
        "max": found.at(1.0),
    }


async def run(options: Options) -> list[dict[str, Any]]:
    """One show of two takes, played at two speeds and with a planted shift."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    found = []
    with tempfile.TemporaryDirectory(prefix="ovation-bench-") as folder:
        half = options.seconds / 2
        async with performed(Path(folder), (half, half)) as show, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
            for speed, shift_ms in ((1, 0), (2, 0), (1, PLANTED_MS)):
                found.append(await watch(browser, show, speed, shift_ms))
                print(found[-1], flush=True)
            await browser.close()
    return found


def tell(result: results.Result, runs: list[dict[str, Any]]) -> None:
    """The runs as a table and criteria."""
    columns = ["speed", "moments moved by, ms", "comments read", "median (after the picture), ms", "p50 ms", "p95 ms", "max ms"]
    rows = [
        [
            *(f"{run['speed']:g}", str(run["shift_ms"]), f"{run['read']} of {run['comments']}", f"{run['median']:+d}"),
            *(f"{run[name]:.0f}" for name in ("p50", "p95", "max")),
        ]
        for run in runs
    ]
    result.tables.append(Table("From a comment's `at` to the clock in the picture it shows with", columns, rows))
    for run in runs:
        if run["shift_ms"]:
            result.want(f"p95 ms with moments {PLANTED_MS} ms off: noticed", run["p95"], at_least=P95_MS)
        else:
            result.want(f"p95 ms at speed {run['speed']:g}", run["p95"], at_most=P95_MS)
    result.notes.append(
        "two takes with the encoder away in between; what was said meanwhile shows at the cut and is not counted"
    )
    result.notes.append("at speed 2 a picture is of every 67th millisecond, which is part of the distance")
    result.rounds = runs


def main() -> None:
    """Run the command line."""
    options = parse(parser("alignment", __doc__, viewers=1, seconds=30.0, rounds=1))
    result = results.begin("alignment", "A recording's chat against its picture", options, picture="640x360, 30/s")
    tell(result, asyncio.run(run(options)))
    result.finish()


if __name__ == "__main__":
    main()
