"""The store full, read-only, refusing or slow for ten minutes while comments flow: memory, viewers, logs and metrics.

python -m bench.storefaults --seconds 600

All faults run at the same time, each with a broker, gateway, archive and audience of its own, beside two without a fault, one
on SQLite and one on CQL: what the machine does to one it does to all. `full` is a file system without a byte left, `readonly`
an immutable SQLite file, `refusing` an Apache Cassandra whose user may read alone, `slow` one whose answers come 2 s late.
Posts carry no key; one person per site asks for the newest and the oldest page, posts with a key and joins with a backfill,
every two seconds.
"""

import argparse
import contextlib
import json
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from msgspec import Struct

from bench import corpus, results
from bench.asker import PROBES, Asker, Probe
from bench.build import program
from bench.client import Client, Report
from bench.options import Options, parse, parser
from bench.results import Table
from bench.servers import Site, parse_metrics, site, wait_ready
from bench.storebreaks import FAULTS, Fault, OnCluster
from tests.backends.rightsnode import RightsNode
from tests.processes import Process

SAMPLE_S = 2.0
WARM_S, DRAIN_S = 20.0, 400.0
#: What the sites have in common: nobody is limited.
OPEN = {"limit_user_stream": "100000/1", "limit_user": "100000/1"}
SHOWN = (
    "ovation_worker_waiting", "ovation_archive_slow", "ovation_worker_retries_total", "ovation_archive_lag",
    "ovation_archive_lag_seconds",
)  # fmt: skip
#: The lines that begin to tell of a store that fails, or is slow.
TOLD = ("waiting", "archive falls behind")


class Run(Struct):
    """One site. Memory in MiB by process: before the fault, and the most during it."""

    fault: str
    calm: Report
    during: Report
    after: Report
    before_mib: dict[str, float]
    most_mib: dict[str, float]
    calm_probe: Probe
    probe: Probe
    lines: dict[str, dict[str, int]]
    first_words: str
    naming: int
    metrics: dict[str, float]
    #: Percent of the fault's time in which each of `SHOWN[:2]` was 1.
    shares: dict[str, int]
    drained_s: float
    verified: str


def run_one(name: str, options: Options, node: RightsNode) -> Run:
    """One site from start to end."""
    with tempfile.TemporaryDirectory(prefix=f"ovation-{name}-") as folder, contextlib.ExitStack() as ends:
        fault = FAULTS[name](Path(folder), node)
        settings = ends.enter_context(fault.store())
        place = ends.enter_context(site(options, **OPEN, **settings))
        archive = Process("worker", "archive", log=place.folder / "archive.log", **place.settings).start()
        ends.callback(archive.kill)
        wait_ready(archive)
        arguments = place.post_options(corpus.post(), users=1000, pool=64)
        client = ends.enter_context(
            Client(options.client_core, port=place.port, path=place.path, viewers=options.viewers, **arguments)
        )
        asker = Asker(place)
        ends.callback(asker.stop)
        client.open(positioned=False)
        client.tell(f"uniform {options.more.rate}")
        time.sleep(WARM_S)
        return _through(fault, name, options, place, archive, client, asker)


def _through(fault: Fault, name: str, options: Options, place: Site, archive: Process, client: Client, asker: Asker) -> Run:
    """Calm, the fault, and what comes after it."""
    processes = {"gateway": place.gateway, "archive": archive}
    asker.fresh()
    calm, _ = client.over(options.more.calm)
    calm_probe = asker.fresh()
    before = {each: _rss(process) for each, process in processes.items()}
    read = {each: len(process.log.read_bytes()) for each, process in processes.items()}
    fault.begin()
    began = time.monotonic()
    client.tell("mark")
    most = dict(before)
    last: dict[str, float] = {}
    seen: Counter[str] = Counter()
    samples = 0
    try:
        while time.monotonic() - began < options.seconds:
            time.sleep(SAMPLE_S)
            most = {each: max(most[each], _rss(process)) for each, process in processes.items()}
            last = _metrics(archive)
            seen.update(name for name in SHOWN[:2] if _of(last, name))
            samples += 1
        during, probe = client.report(), asker.fresh()
    finally:
        fault.end()
    ended = time.monotonic()
    print(f"{name}: fault over, {last}", flush=True)
    client.tell("uniform 1")
    drained = _drained(archive, ended)
    after = client.settle()
    logged = {each: process.log.read_bytes()[read[each] :].decode() for each, process in processes.items()}
    told = _told(logged["archive"])
    store = str(place.settings["store_url"]).partition("://")[2].lstrip("/")
    return Run(
        fault=name, calm=calm, during=during, after=after, before_mib=before, most_mib=most, calm_probe=calm_probe,
        probe=probe, lines={each: _lines(text) for each, text in logged.items()}, first_words=told[0] if told else "",
        naming=sum(store in line for line in told), metrics=last, drained_s=drained, verified=_verified(place),
        shares={name: round(100 * seen[name] / max(1, samples)) for name in SHOWN[:2]},
    )  # fmt: skip


def _rss(process: Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _metrics(process: Process) -> dict[str, float]:
    found = parse_metrics(httpx.get(f"{process.ops_url}/metrics", timeout=30).text)
    return {name: value for name, value in found.items() if name.partition("{")[0] in SHOWN}


def _drained(archive: Process, since: float) -> float:
    """Seconds until nothing waits for the archive."""
    while time.monotonic() - since < DRAIN_S:
        if _metrics(archive).get('ovation_archive_lag{log="LIVE_0"}', 1) < 5:
            return time.monotonic() - since
        time.sleep(0.5)
    return float("inf")


def _verified(place: Site) -> str:
    """The last line of `ovation verify`, and how many differences there were."""
    process = Process("verify", place.stream_id, log=place.folder / "verify.log", **place.settings).start_plain()
    code = process.wait(300)
    lines = process.text.strip().splitlines()
    return f"{'clean' if code == 0 else f'{len(lines) - 1} DIFFERENCES'}: {lines[-1]}"


def _lines(text: str) -> dict[str, int]:
    """How often each line was logged, by level and event."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        try:
            told = json.loads(line)
            found[f"{told['level']} {told['event'][:60]}"] += 1
        except (ValueError, KeyError):
            found[f"? {line[:60]}"] += 1
    return dict(found)


def _told(text: str) -> list[str]:
    return [line for line in text.splitlines() if any(f'"event":"{event}"' in line for event in TOLD)]


def run(options: Options) -> list[Run]:
    """All sites at once."""
    names = options.more.faults.split(",")
    # Built before all of them do it at once.
    program("client")
    with tempfile.TemporaryDirectory(prefix="ovation-node-") as folder:
        node = RightsNode(Path(folder))
        if any(issubclass(FAULTS[name], OnCluster) for name in names):
            node.start()
        try:
            with ThreadPoolExecutor(len(names)) as pool:
                return list(pool.map(lambda name: run_one(name, options, node), names))
        finally:
            node.kill()


def tell(result: results.Result, runs: list[Run]) -> None:
    """The runs as tables and criteria."""
    by_name = {each.fault: each for each in runs}
    beside = {each.fault: by_name.get(FAULTS[each.fault].calm, runs[0]) for each in runs}
    _tell_sites(result, runs, beside)
    _tell_people(result, runs)
    for each in runs:
        for name in ("gateway", "archive"):
            growth = each.most_mib[name] - each.before_mib[name]
            result.want(f"{each.fault}: growth of the {name}, MiB", growth, at_most=64)
        if (calm := beside[each.fault]) is not each:
            result.want(f"{each.fault}: delivery p99 against the site without a fault", _ratio(each, calm), at_most=1.5)
        if FAULTS[each.fault].calm != each.fault:
            result.want(f"{each.fault}: lines of the archive that name the store", each.naming, at_least=1)
        result.want(
            f"{each.fault}: viewers with everything, once and in order", each.after.complete, at_least=each.after.viewers
        )
        result.want(f"{each.fault}: verify clean", each.verified.startswith("clean"), at_least=1)
    result.notes += [f"{each.fault}: {each.first_words}" for each in runs if each.first_words]
    result.rounds = runs


def _tell_sites(result: results.Result, runs: list[Run], beside: dict[str, Run]) -> None:
    result.tables.append(
        Table(
            "Viewers and memory",
            [
                "fault",
                "delivery p50 / p99 ms before",
                "during",
                "p99 against no fault",
                "posts, refused",
                "growth MiB: gateway",
                "archive",
            ],
            [
                [
                    each.fault,
                    f"{each.calm.a.p50} / {each.calm.a.p99}",
                    f"{each.during.a.p50} / {each.during.a.p99}",
                    f"{_ratio(each, beside[each.fault]):.2f}",
                    f"{each.during.acked:,}, {each.during.refused_posts}",
                    *(f"{each.most_mib[name] - each.before_mib[name]:.1f}" for name in ("gateway", "archive")),
                ]
                for each in runs
            ],
        )
    )
    result.tables.append(
        Table(
            "The archive",
            [
                "fault",
                "waiting % of the time",
                "behind or slow %",
                "tries that failed",
                "unarchived at the end",
                "its age s",
                "drained after s",
                "verify",
            ],
            [
                [
                    each.fault,
                    *(str(share) for share in each.shares.values()),
                    *(f"{_of(each.metrics, name):,.0f}" for name in SHOWN[2:]),
                    f"{each.drained_s:.1f}",
                    each.verified.partition(":")[0],
                ]
                for each in runs
            ],
        )
    )


def _tell_people(result: results.Result, runs: list[Run]) -> None:
    result.tables.append(
        Table(
            "What one person sees, p50 / worst s (failed)",
            ["fault", "when", *PROBES],
            [
                [each.fault, when, *(_seen(probe, name) for name in PROBES)]
                for each in runs
                for when, probe in (("before", each.calm_probe), ("during", each.probe))
            ],
        )
    )
    result.tables.append(
        Table(
            "Lines logged during the fault and until all was archived",
            ["fault", "process", "lines"],
            [
                [each.fault, process, "; ".join(f"{count} x {line}" for line, count in sorted(lines.items())) or "none"]
                for each in runs
                for process, lines in each.lines.items()
            ],
        )
    )


def _ratio(one: Run, calm: Run) -> float:
    return (one.during.a.p99 or 1e9) / (calm.during.a.p99 or 1e9)


def _of(metrics: dict[str, float], name: str) -> float:
    return max((value for key, value in metrics.items() if key.partition("{")[0] == name), default=0.0)


def _seen(probe: Probe, name: str) -> str:
    took = sorted(probe.seconds[name])
    failed = ", ".join(f"{count} x {what}" for what, count in probe.failed[name].items())
    times = f"{took[len(took) // 2]:.3f} / {took[-1]:.3f}" if took else "-"
    return f"{times} ({failed or 'none'} of {len(took) + sum(probe.failed[name].values())})"


def main() -> None:
    """Run the command line."""
    made = parser("storefaults", __doc__, viewers=50, seconds=600, rounds=1)
    made.add_argument("--rate", type=float, default=20, help="comments/s of each site (default %(default)s)")
    made.add_argument("--calm", type=float, default=60, help="seconds before the fault (default %(default)s)")
    made.add_argument("--faults", default=",".join(FAULTS), help="of those described above (default %(default)s)")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parse(made)
    result = results.begin("storefaults", "A store that is full, read-only, refusing or slow", options, rate=options.more.rate)
    tell(result, run(options))
    result.finish()


if __name__ == "__main__":
    main()
