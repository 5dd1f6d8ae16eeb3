"""The conformance client finds every violation that is planted before it, and none in what we serve."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bench.broadcast import Broadcast, broadcast
from scripts import node
from tests.hls.client import check
from tests.hls.faults import FAULTS, Fault, Faulty
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.media, pytest.mark.timeout(300)]

#: What is found needs a few segments to come and go.
SECONDS = 8.0
#: Clients at a time.
AT_ONCE = 7
#: A client that gets few turns beside others sees little in its time: whatever it missed is looked for again.
TRIES = 3
PARSER = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "hls-parser"


@pytest.fixture(name="live")
async def _live() -> AsyncIterator[Broadcast]:
    async with broadcast(size=(320, 180), rate="500k", settings={"transcode_heights": 96}) as made:
        yield made


async def _two_renditions(live: Broadcast) -> None:
    async with httpx.AsyncClient() as http:

        async def both() -> bool:
            return (await http.get(live.master)).text.count("#EXT-X-STREAM-INF") == 2

        await eventually(both)


async def test_nothing_is_wrong_with_ours(live: Broadcast) -> None:
    """Two renditions, through a gateway: no rule is broken, and each was looked at."""
    await _two_renditions(live)
    report = await check(live.master, SECONDS)
    # How late anything is, the bench measures, on cores that nobody else has.
    assert [line for line in report.broken if not line.startswith("late:")] == []
    assert min(report.looked[what] for what in ("reload", "part", "hint", "segment", "delta", "report", "fetch")) >= 3, report


async def test_every_planted_violation_is_found(live: Broadcast) -> None:
    """Twenty-five of them, each by the rule that is about it."""
    await _two_renditions(live)
    gate = asyncio.Semaphore(AT_ONCE)

    async def found(fault: Fault) -> bool:
        async with gate:
            report = await check(live.master, SECONDS, Faulty(fault))
            return bool(report.rules & fault.rules)

    assert len(FAULTS) >= 15
    missed = FAULTS
    for _ in range(TRIES):
        missed = [fault for fault, seen in zip(missed, await asyncio.gather(*map(found, missed)), strict=True) if not seen]
    assert [fault.name for fault in missed] == []


async def test_a_parser_of_others_reads_ours(live: Broadcast, tmp_path: Path) -> None:
    """hls-parser, strict: no complaint about the multivariant and the media playlists of a running stream."""
    program = shutil.which("node", path=node.environment()["PATH"])
    assert program, "Node is missing: ./just setup installs it"
    assert PARSER.is_dir(), "hls-parser is missing: ./just setup installs it"
    await _two_renditions(live)
    async with httpx.AsyncClient() as http:
        for name in ("master", "source/index"):
            (tmp_path / f"{name.replace('/', '-')}.m3u8").write_text(
                (await http.get(f"{live.url}{live.folder}{name}.m3u8")).text
            )
    code = (
        f"import hls from {str(PARSER / 'index.js')!r}; import fs from 'node:fs';"
        "hls.setOptions({strictMode: true});"
        f"for (const name of fs.readdirSync({str(tmp_path)!r})) "
        f"try {{ hls.parse(fs.readFileSync({str(tmp_path)!r} + '/' + name, 'utf8')); }}"
        # It counts segments where the draft counts durations; ours are checked by the client.
        "catch (error) { if (!error.message.includes('Remove EXT-X-PART tags')) throw error; }"
    )
    run = await asyncio.to_thread(
        subprocess.run, [program, "--input-type=module", "-e", code], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
