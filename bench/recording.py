"""Ten minutes with two encoder drops, recorded on a folder and on S3 at once: its length, its pictures, its chat.

python -m bench.recording

The source is a reel that was encoded beforehand (`bench.reel`), so that the processor is free for what is measured. Every
picture of both recordings is decoded and its clock read; Chromium plays the MP4 in ten places, and the watch page five
stretches of the recording with its chat: the beginning, both drops, one between them, and the end.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from bench import reel, results
from bench.longshow import TAKES, LongShow, performed
from bench.options import Options, parse, parser
from bench.replayed import Copy, fetched, film, talk
from bench.results import Table
from tests.backends.s3 import KEY, WeedServer
from tests.shows import FLAGS

#: What the moments of the playlist are moved by in the stretch that has to miss.
PLANTED_MS = 300
P95_MS = 100.0
DURATION_S = 0.5
#: Seconds of the recording that are played with their chat, from each place.
STRETCH_S = 24.0
#: Places of the MP4 that are played.
PLACES = 10


async def examine(name: str, show: LongShow, folder: Path) -> dict[str, Any]:
    """Everything but the chat: what there is, decoded to the last picture."""
    copy = await fetched(show, folder)
    found = await copy.examined()
    found.update(home=name, sent_s=show.sent_s, made_s=show.made_s, late_ms=round(show.late_s * 1000))
    print({key: value for key, value in found.items() if key != "complaints"}, flush=True)
    return {**found, "copy": copy}


async def watched(name: str, show: LongShow, copy: Copy, browser: Any) -> dict[str, Any]:  # noqa: ANN401 - a Browser
    """The MP4 and the chat, in Chromium."""
    played = await film(browser, show, copy, PLACES)
    borders = copy.borders_s
    middles = [*borders, sum(borders) / len(borders)]
    places = [0.0, *(at - STRETCH_S / 2 for at in middles), copy.lasts_s - STRETCH_S - 1]
    chat = await talk(browser, show, copy, sorted(places), STRETCH_S)
    shifted = await talk(browser, show, copy, [places[1]], STRETCH_S, PLANTED_MS)
    print({"home": name, "film": played, "chat": chat.told, "shifted": shifted.told}, flush=True)
    return {"film": played, "chat": chat.told, "shifted": shifted.told}


async def run(options: Options) -> list[dict[str, Any]]:
    """Both homes at once; then what came of it, one after the other."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    takes = [options.seconds * share for share in TAKES]
    with tempfile.TemporaryDirectory(prefix="ovation-bench-") as where:
        folder = Path(where)
        footage = await asyncio.to_thread(reel.film, folder / "reel.flv")
        async with AsyncExitStack() as ends:
            weed = await asyncio.to_thread(WeedServer(folder / "weed").start)
            ends.callback(weed.kill)
            homes: Mapping[str, dict[str, object]] = {
                "folder": {},
                "S3": {
                    "media_url": f"s3://{weed.bucket}/films",
                    "s3_endpoint": weed.endpoint,
                    "s3_access_key_id": KEY[0],
                    "s3_secret_access_key": KEY[1],
                },
            }
            shows = await asyncio.gather(
                *(
                    ends.enter_async_context(performed(folder / name, footage, takes, settings))
                    for name, settings in homes.items()
                )
            )
            found = [await examine(name, show, folder) for name, show in zip(homes, shows, strict=True)]
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
                for each, show in zip(found, shows, strict=True):
                    each.update(await watched(each["home"], show, each.pop("copy"), browser))
                await browser.close()
    return found


def tell(result: results.Result, runs: list[dict[str, Any]]) -> None:
    """What came of it as tables and criteria."""
    columns = ["home", "sent s", "HLS s", "MP4 s", "API s", "segments", "pictures sent", "of them there", "twice or unreadable"]
    rows = [
        [
            *(each["home"], f"{each['sent_s']:.2f}", *(f"{each[name]:.2f}" for name in ("hls_s", "mp4_s", "api_s"))),
            *(str(each["segments"]), str(each["sent"]), str(each["there"]), str(each["bad"])),
        ]
        for each in runs
    ]
    result.tables.append(Table("What was sent and what was recorded of it", columns, rows))
    columns = [
        "home",
        "date time off by, ms: p50",
        "p95",
        "max",
        "chat read",
        "chat off by, ms: p50",
        "p95",
        "max",
        "shifted p95",
        "player's picture off: p95",
    ]
    rows = [
        [
            *(each["home"], *(f"{each['dates'][name]:.0f}" for name in ("p50", "p95", "max"))),
            *(f"{each['chat']['read']} of {each['chat']['comments']}",),
            *(f"{each['chat'][name]:.0f}" for name in ("p50", "p95", "max")),
            f"{each['shifted']['p95']:.0f}",
            f"{each['chat']['player']['p95']:.0f}",
        ]
        for each in runs
    ]
    result.tables.append(Table("The playlists' times and the chat against the clock in the pictures", columns, rows))
    for each in runs:
        home = each["home"]
        for name, what in (("hls_s", "HLS"), ("mp4_s", "MP4"), ("api_s", "API")):
            result.want(f"{home}: {what} seconds off what was sent", abs(each[name] - each["sent_s"]), at_most=DURATION_S)
        result.want(f"{home}: segments that do not decode", each["broken"], at_most=0)
        result.want(f"{home}: pictures that are twice, out of order or unreadable", each["bad"], at_most=0)
        result.want(f"{home}: pictures of the MP4 that differ from those of the segments", each["mp4_differs"], at_most=0)
        result.want(f"{home}: complaints about the MP4", len(each["complaints"]), at_most=0)
        result.want(f"{home}: places where Chromium does not play the MP4", each["film"]["failed"], at_most=0)
        result.want(f"{home}: chat p95 ms", each["chat"]["p95"], at_most=P95_MS)
        result.want(f"{home}: share of the chat that was read", each["chat"]["share"], at_least=0.9)
        result.want(f"{home}: chat p95 ms with moments {PLANTED_MS} ms off: noticed", each["shifted"]["p95"], at_least=P95_MS)
        result.notes.append(
            f"{home}: the recording could be played {each['made_s']:.1f} s after the end; the source was late by up to"
            f" {each['late_ms']} ms, as this machine is shared"
        )
    result.notes.append(
        "pictures that were sent and are not there were in the encoder's or the worker's buffers when it was killed"
    )
    result.notes.append(
        "player's picture off: what was on the screen when a comment showed, against the picture of the player's own time;"
        " a machine that is too busy to show every picture adds that to the chat's distance"
    )
    result.rounds = runs


def main() -> None:
    """Run the command line."""
    options = parse(parser("recording", __doc__, viewers=1, seconds=600.0, rounds=1))
    result = results.begin(
        "recording", "Ten minutes with two encoder drops", options, picture="1280x720, 30/s, 1.5 Mbit/s, keyframe every second"
    )
    tell(result, asyncio.run(run(options)))
    result.finish()


if __name__ == "__main__":
    main()
