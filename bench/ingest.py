"""What taking broadcasts in costs: RTMP and RTMPS from many encoders at 4 Mbit/s, beside a server that reads and drops.

The server is the media worker's RTMP port in a process of its own, with everything before packaging: chunks, commands,
limits, policing; what comes out of it is counted and dropped. Every message that was sent must have been counted.
"""

import argparse
import asyncio
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from msgspec import Struct

from bench.cpu import Cost, cost, on_core
from bench.ingest_server import KEY
from bench.options import Options, parse, parser
from bench.results import Result, Table, begin
from bench.rounds import interleaved, ratios, spread
from tests.dialogues import Librtmp
from tests.rtmp import Publisher

VARIANTS = ("sockets alone", "RTMP", "RTMPS")
PICTURES_PER_S, SOUNDS_PER_S = 30, 47
SOUND, KEYFRAME = 341, 80_000
CHUNK = 4096
WARM_S = 2.0


class Run(Struct, frozen=True):
    """One variant in one round: CPU of the server as a share of a core, for each stream; messages and megabits per second."""

    percent: float
    messages_per_s: float
    mbit: float
    rss: int
    waited: float
    counted: bool

    def __str__(self) -> str:
        return f"{self.percent:.3f} % of a core per stream, {self.messages_per_s:,.0f} messages/s, all counted: {self.counted}"


def second(mbit: float) -> list[tuple[float, int, bytes]]:
    """One second of a broadcast: when, of which type, what."""
    rest = int(mbit * 1e6 / 8 - SOUNDS_PER_S * SOUND - KEYFRAME) // (PICTURES_PER_S - 1)
    found = [(n / SOUNDS_PER_S, 8, b"\xaf\x01" + bytes(SOUND - 2)) for n in range(SOUNDS_PER_S)]
    found += [(0.0, 9, b"\x17\x01" + bytes(KEYFRAME - 2))]
    found += [(n / PICTURES_PER_S, 9, b"\x27\x01" + os.urandom(rest - 2)) for n in range(1, PICTURES_PER_S)]
    return sorted(found, key=lambda each: each[0])


async def publish(variant: str, port: int, script: list[tuple[float, int, bytes]], begin_at: float, until: float) -> int:
    """Be one encoder from *begin_at* until *until* (on the loop's clock); how many messages it sent."""
    trusted = None
    if variant == "RTMPS":
        trusted = ssl.create_default_context()
        trusted.check_hostname, trusted.verify_mode = False, ssl.CERT_NONE
    publisher = await Publisher.connect("127.0.0.1", port, trusted)
    if variant != "sockets alone":
        await publisher.publish(KEY)
    out = Librtmp(128)
    publisher.writer.write(out.write(2, 1, CHUNK.to_bytes(4, "big")))
    out.chunk_size = CHUNK
    loop, sent, whole = asyncio.get_running_loop(), 0, 0
    while True:
        for offset, kind, payload in script:
            due = begin_at + whole + offset
            if due > until:
                # What was sent has to be read before the count is asked for.
                await publisher.writer.drain()
                await asyncio.sleep(0.3)
                publisher.writer.transport.abort()
                return sent
            delay = due - loop.time()
            if delay > 0.001:
                await asyncio.sleep(delay)
            publisher.writer.write(out.write(4, kind, payload, round((whole + offset) * 1000), 1))
            sent += 1
        whole += 1


@contextmanager
def server(variant: str, core: int) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """The server under test, alone on its core: its port, and itself."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [sys.executable, "-m", "bench.ingest_server", variant, str(Path(folder))]
        with on_core(core):
            process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield int(process.stdout.readline() if process.stdout else 0), process
        finally:
            process.kill()
            process.wait()


def measure(variant: str, options: Options) -> Run:
    """Run one variant on a fresh server."""
    more: argparse.Namespace = options.more
    script = second(more.mbit)
    with server(variant, options.server_core) as (port, process):

        async def drive() -> tuple[Cost, float, int]:
            loop = asyncio.get_running_loop()
            start = loop.time() + 0.5
            until = start + WARM_S + options.seconds
            # Spread over the second: encoders do not agree on when a second begins.
            encoders = [
                asyncio.create_task(publish(variant, port, script, start + n / options.viewers, until))
                for n in range(options.viewers)
            ]
            await asyncio.sleep(start + WARM_S - loop.time())
            before, began = cost(process.pid), time.monotonic()
            await asyncio.sleep(max(0.0, until - loop.time() - 0.1))
            spent, took = cost(process.pid).since(before), time.monotonic() - began
            return spent, took, sum(await asyncio.gather(*encoders))

        with on_core(options.client_core):
            spent, took, sent = uvloop.run(drive())
        rss = cost(process.pid).rss
        # Its answer to the end of its input.
        counted = int(process.communicate()[0])
    return Run(
        percent=spent.seconds / took / options.viewers * 100,
        messages_per_s=sent / (WARM_S + options.seconds),
        mbit=more.mbit,
        rss=rss,
        waited=spent.waited / took,
        counted=counted == sent or variant == "sockets alone",
    )


def tell(result: Result, runs: dict[str, list[Run]], streams: int) -> None:
    """The table and the criteria."""
    base = [run.percent for run in runs["sockets alone"]]
    columns = [
        "port",
        "% of a core per stream",
        "against sockets alone",
        "messages/s",
        "RSS MB",
        "waited for its core",
        "counted",
    ]
    rows = []
    for variant, each in runs.items():
        percents = [run.percent for run in each]
        rows.append(
            [
                *(variant, spread(percents).text(3), ratios(percents, base).text()),
                *(f"{each[0].messages_per_s:,.0f}", f"{max(run.rss for run in each) / 1e6:.0f}"),
                *(spread([run.waited for run in each]).text(), "all" if all(run.counted for run in each) else "not all"),
            ]
        )
    result.tables.append(Table(f"{streams} encoders", columns, rows))
    percent = spread([run.percent for run in runs["RTMP"]]).median
    result.want("RTMP: % of a core per stream of 4 Mbit/s", percent, at_most=0.5)
    result.rounds = runs


def main() -> None:
    """Run it."""
    made = parser("ingest", __doc__, viewers=40, seconds=10, rounds=3)
    made.add_argument("--mbit", type=float, default=4.0, help="bit rate of one encoder (default %(default)s)")
    options = parse(made)
    result = begin("ingest", "Taking broadcasts in", options, encoders=options.viewers, mbit=options.more.mbit)
    runs = interleaved(VARIANTS, options.rounds, lambda variant: measure(variant, options))
    tell(result, runs, options.viewers)
    result.finish()


if __name__ == "__main__":
    main()
