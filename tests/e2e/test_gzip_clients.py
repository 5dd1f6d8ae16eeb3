"""Shared compression as other people's clients unpack it: curl, and Node's fetch."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.backends import programs
from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.processes import Client
from tests.viewer import SseParser, Viewer
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.e2e]

COMMENTS = 500
AUTHORS = 8
#: Comments between which a client is frozen: more bytes than the kernel holds for it, so that it is skipped.
FROZEN = (80, 420)


def curl(url: str) -> list[str]:
    """Asks for gzip and unpacks it; prints each byte as it comes, and the head first."""
    return ["curl", "--silent", "--show-error", "--no-buffer", "--compressed", "--dump-header", "/dev/stderr", url]


def node(url: str) -> list[str]:
    """The script beside this file."""
    return [programs.node() or pytest.fail("no Node on the PATH"), str(Path(__file__).with_name("reading.mjs")), url]


@pytest.mark.parametrize("command", [curl, node])
async def test_what_it_unpacks_is_whole(command: Callable[[str], list[str]], nats_server: NatsServer, tmp_path: Path) -> None:
    """500 comments while others join and leave and this one is frozen in the middle: all of them, in order, chain unbroken."""
    async with cluster(nats_server, tmp_path, archive=False, limits="100000/1") as c:
        async with await Client(c.url(0)).guest() as host:
            stream_id = (await host.start())["stream_id"]
        out, head = tmp_path / "out", tmp_path / "head"
        with out.open("wb") as stdout, head.open("wb") as stderr:
            reader = await asyncio.create_subprocess_exec(
                *command(c.events(0, stream_id) + "?backfill=0"), stdout=stdout, stderr=stderr
            )
        try:
            await eventually(lambda: b"event: comments" in out.read_bytes())
            joining = asyncio.create_task(_come_and_go(c, stream_id))
            seqs = await _post_all(c, stream_id, reader)
            await eventually(lambda: out.read_bytes().count(b'"type":"comment"') == COMMENTS)
            joining.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await joining
        finally:
            reader.kill()
            await reader.wait()
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"{c.gateways[0].ops_url}/metrics")).text

    assert b"gzip" in head.read_bytes()
    assert "ovation_viewers_skipped_total 0.0" not in metrics
    seen = Viewer("")
    for event in SseParser().feed(out.read_bytes()):
        seen.take(event)
    assert (seen.faults, seen.gaps, seen.seqs) == ([], [], sorted(seqs))
    assert len(set(seen.texts)) == COMMENTS


async def _post_all(c: Cluster, stream_id: str, reader: asyncio.subprocess.Process) -> list[int]:
    """Comments that pack badly, by several authors; the reader sleeps for most of them."""
    chance = random.Random(11)
    texts = ["".join(chr(chance.randrange(0x4E00, 0x9FA0)) for _ in range(480)) for _ in range(COMMENTS)]
    left = list(enumerate(texts))[::-1]
    seqs: list[int] = []

    async def author(number: int) -> None:
        async with await Client(c.url(0)).guest(f"Author {number}") as client:
            while left:
                n, text = left.pop()
                if n in FROZEN:
                    reader.send_signal(signal.SIGSTOP if n == FROZEN[0] else signal.SIGCONT)
                seqs.append((await client.post(stream_id, text)).json()["seq"])

    await asyncio.gather(*(author(n) for n in range(AUTHORS)))
    return seqs


async def _come_and_go(c: Cluster, stream_id: str) -> None:
    """Viewers with gzip that come in the middle of an epoch and leave again, without end."""
    while True:
        viewer = await Viewer(c.events(0, stream_id), gzip=True, backfill=5).open()
        seen = len(viewer.events)
        await viewer.until(lambda v: len(v.events) > seen + 5, timeout_s=60)  # noqa: B023 - awaited here
        assert viewer.faults == []
        await viewer.cut()
