"""Low-latency viewers of one gateway: each reloads its playlist five times a second and fetches every part.

python -m bench.origin --viewers 450 --seconds 20 --rounds 3
"""

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

from bench import results
from bench.broadcast import Broadcast, broadcast
from bench.cpu import cost, on_core, raise_file_limit
from bench.options import Options, parse, parser
from bench.results import Table
from bench.rounds import spread


def load(made: Broadcast, options: Options) -> dict[str, Any]:
    """One run: what the viewers saw, and what the gateway and the worker cost meanwhile."""
    command = ["-m", "bench.lowlatency", "--port", str(made.port), "--path", f"{made.folder}source/"]
    command += ["--viewers", str(options.viewers), "--seconds", str(options.seconds)]
    with on_core(options.client_core), subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as crowd:
        assert crowd.stdout is not None  # noqa: S101 - asked for above
        crowd.stdout.readline()
        before, began = (cost(made.gateway.pid), cost(made.worker.pid)), time.monotonic()
        seen: dict[str, Any] = json.loads(crowd.stdout.readline())
        took = time.monotonic() - began
        gateway, worker = cost(made.gateway.pid).since(before[0]), cost(made.worker.pid).since(before[1])
    core = gateway.seconds / took
    return {
        **seen,
        "core": core,
        "waited": gateway.waited / took,
        "worker": worker.seconds / took,
        "us": core / seen["requests_s"] * 1e6,
        "rss_mb": cost(made.gateway.pid).rss / 1e6,
    }


async def run(options: Options) -> list[dict[str, Any]]:
    """All rounds on one broadcast."""
    raise_file_limit()
    cores = (options.server_core, options.client_core)
    settings = {"transcode_heights": 0, **options.settings}
    async with broadcast(rate=options.more.rate, size=(640, 360), cores=cores, settings=settings) as made:
        runs = []
        for number in range(options.rounds):
            runs.append(await asyncio.to_thread(load, made, options))
            print(f"round {number + 1}/{options.rounds}  {runs[-1]}", flush=True)
    return runs


def main() -> None:
    """Run the command line."""
    made = parser("origin", __doc__, viewers=450, seconds=20.0, rounds=3)
    made.add_argument("--rate", default="2M", help="the encoder's bit rate (default %(default)s)")
    options = parse(made)
    result = results.begin("origin", "Low-latency viewers", options, viewers=options.viewers, rate=options.more.rate)
    runs = asyncio.run(run(options))
    names = {
        "requests_s": "requests/s",
        "mbit_s": "Mbit/s",
        "core": "gateway, core",
        "us": "CPU us/request",
        "waited": "waited for it",
        "worker": "worker, core",
        "part_p50_ms": "part p50 ms",
        "part_p99_ms": "part p99 ms",
        "behind": "parts behind",
        "errors": "errors",
        "rss_mb": "gateway MB",
    }
    cells = [spread([run[name] for run in runs]).text(3 if name in ("core", "waited", "worker") else 1) for name in names]
    result.tables.append(
        Table(f"{options.viewers} low-latency viewers of one gateway", ["rounds", *names.values()], [[str(len(runs)), *cells]])
    )
    result.want("gateway, share of a core", spread([run["core"] for run in runs]).median, at_most=0.8)
    result.want("errors", sum(run["errors"] for run in runs), at_most=0)
    result.notes.append("each viewer has two connections; the worker, the encoder and the viewers share the other core")
    result.rounds = runs
    result.finish()


if __name__ == "__main__":
    main()
