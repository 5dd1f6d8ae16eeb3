"""How many durable comments one gateway process takes, with limits on, beside nats-py publishing the same payloads.

Each round runs three things in turn, each with the server's core to itself and nats-server and client on the other one:
nats-py publishing comments with Msg-Ids, 1,000 in flight; the gateway with 1,000 connections that post without a pause; and
the gateway with posts due at random times, whose answers are measured from when each was due. Limits are the defaults, so a
user posts five comments and is not heard of again; a comment is three publishes: two tokens and the comment. Every post has
an Idempotency-Key, so each is also looked up in the store. What was acknowledged is counted in the log afterwards.
"""

import argparse
import asyncio
import json
import os
import resource
import secrets
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from bench import corpus
from bench.build import program
from bench.client import write_lines
from bench.cpu import cost, on_core
from bench.options import Options, parse, parser
from bench.results import Plot, Result, Table, begin
from bench.rounds import interleaved, ratios, spread
from bench.servers import Site, site, tokens
from schemas import codec, subjects
from schemas.items import Comment, User
from tests.broker import broker

ROOT = Path(__file__).resolve().parents[1]
IN_FLIGHT = 1000
#: What the default limits let a user post in 30 s, and how far apart the client's users do so.
PER_USER, APART = 5, 1000
#: Shares of the machine: what counts as idle, and what others may have of it during a run.
IDLE, DISTURBED = 0.05, 0.1
#: Posts that are not measured.
WARM = 1000
WANTED_RATE, WANTED_RATIO, WANTED_P99_MS = 5000.0, 0.25, 50.0
VARIANTS = ("nats-py", "gateway", "paced")


class Run(Struct, frozen=True):
    """One variant in one round. Times in ms, CPU in us per comment; `others` is the machine's use by anybody else, of 1."""

    rate: float
    cpu_us: float
    nats_us: float
    others: float
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    worst: float = 0.0
    acknowledged: int = 0
    stored: int = 0


class Answers(Struct):
    """What the client prints."""

    posts: int
    created: int
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    next_user: int


def measure(variant: str, options: Options) -> Run:
    """Run one variant on processes of its own; with `--quiet`, when the machine is idle, and again when others disturbed it."""
    deadline = time.monotonic() + options.more.quiet
    while True:
        _wait_idle(deadline)
        with site(options) as place:
            run = Bench(options, place).run(variant)
        if run.others <= DISTURBED or time.monotonic() > deadline:
            return run


class Bench:
    """One site, and whose turn it is to post."""

    def __init__(self, options: Options, place: Site) -> None:
        self._options = options
        self._place = place
        self._paced = int(options.more.rate * options.seconds)
        users = _users(max(options.more.posts, self._paced)) + _users(WARM)
        self._tokens = write_lines(place.folder / "tokens", tokens(place.secret, users))
        self._bodies = write_lines(place.folder / "bodies", corpus.post())
        self._next_user = 0
        self._created = 0

    def run(self, variant: str) -> Run:
        """Run one variant once, after a first thousand posts that are not measured."""
        if variant == "nats-py":
            return self._reference(self._options.more.posts)
        posts, rate = (self._paced, self._options.more.rate) if variant == "paced" else (self._options.more.posts, 0.0)
        self._post(WARM, 0.0)
        answers, use = self._post(posts, rate)
        return Run(
            rate=posts / answers.seconds,
            cpu_us=use.gateway / posts * 1e6,
            nats_us=use.nats / posts * 1e6,
            others=use.others,
            p50=answers.p50_ms,
            p90=answers.p90_ms,
            p99=answers.p99_ms,
            worst=answers.max_ms,
            acknowledged=self._created,
            stored=asyncio.run(self.stored()),
        )

    def _reference(self, posts: int) -> Run:
        meter = Meter(self._place)
        command = [sys.executable, "-m", "bench.posting", "--reference", self._place.nats.url, "--posts", str(posts)]
        with on_core(self._options.server_core):
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        use = meter.read()
        return Run(
            rate=float(done.stdout), cpu_us=use.children / posts * 1e6, nats_us=use.nats / posts * 1e6, others=use.others
        )

    async def stored(self) -> int:
        """How many comments of the stream the log holds."""
        subject = subjects.live(0, self._place.stream_id)
        async with broker(self._place.nats.url, apply=False) as b:
            body = json.dumps({"subjects_filter": subject}).encode()
            answer = await b.connection.request("$JS.API.STREAM.INFO.LIVE_0", body)
        found: int = json.loads(answer.data)["state"]["subjects"][subject]
        return found

    def _post(self, posts: int, rate: float) -> tuple[Answers, "Use"]:
        arguments = [self._place.port, self._place.stream_id, self._tokens, self._bodies]
        numbers = [IN_FLIGHT, posts, rate, self._next_user, PER_USER]
        command = [str(each) for each in (program("post_client"), *arguments, *numbers)]
        with on_core(self._options.client_core), subprocess.Popen(command, stdout=subprocess.PIPE) as client:
            if client.stdout is None or client.stdout.readline() != b"\n":
                msg = f"the client ended with {client.wait()}"
                raise RuntimeError(msg)
            meter = Meter(self._place)
            printed = client.stdout.read()
        use, answers = meter.read(), msgspec.json.decode(printed, type=Answers)
        if answers.created != posts:
            msg = f"of {posts} posts only {answers.created} were taken: {printed.decode()}"
            raise RuntimeError(msg)
        self._next_user = answers.next_user
        self._created += answers.created
        return answers, use


class Use(Struct, frozen=True):
    """Seconds of CPU since a meter was set up; `others` is the share of the machine that was not ours."""

    gateway: float
    nats: float
    children: float
    others: float


class Meter:
    """Counts from when it is made."""

    def __init__(self, place: Site) -> None:
        self._place = place
        self._began, self._before = time.monotonic(), self._now()

    def read(self) -> Use:
        """What was used since."""
        gateway, nats, children, idle = (now - before for now, before in zip(self._now(), self._before, strict=True))
        whole = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return Use(gateway, nats, children, max(0.0, 1 - (gateway + nats + children + idle) / whole))

    def _now(self) -> tuple[float, float, float, float]:
        return self._place.gateway_cpu(), cost(self._place.nats.pid).seconds, _children_s(), _idle_s()


def _wait_idle(deadline: float) -> None:
    """Wait for a second in which the machine has next to nothing to do, until *deadline* at the latest."""
    while time.monotonic() < deadline:
        idle, began = _idle_s(), time.monotonic()
        time.sleep(1)
        if _idle_s() - idle > (1 - IDLE) * (time.monotonic() - began) * (os.cpu_count() or 1):
            return


def _users(posts: int) -> int:
    return posts // PER_USER + 1 + (PER_USER - 1) * APART // PER_USER


def _idle_s() -> float:
    """Seconds that all cores together have been idle."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def _children_s() -> float:
    """Seconds of CPU of the processes this one has started and seen end."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def reference(url: str, posts: int) -> float:
    """Comments per second that nats-py publishes with Msg-Ids, 1,000 in flight; run in a process of its own."""
    import nats  # noqa: PLC0415 - only the process that is compared with needs it

    user = User(id="bench-000001", name="Person 1")
    said = [json.loads(body)["text"] for body in corpus.post()]
    created = "2026-11-21T04:35:54.123Z"
    payloads = [
        codec.encode(Comment(comment_id=str(10**18 + n), user=user, text=said[n % len(said)], created_at=created))
        for n in range(posts)
    ]
    run = secrets.token_hex(8)
    keys = [subjects.comment_msg_id("reference", "reference", f"{run}{n}") for n in range(posts)]
    connection = await nats.connect(url)
    stream = connection.jetstream(publish_async_max_pending=IN_FLIGHT)
    began = time.perf_counter()
    acknowledged = [
        await stream.publish_async(subjects.live(0, "reference"), payload, headers={"Nats-Msg-Id": key})
        for payload, key in zip(payloads, keys, strict=True)
    ]
    await stream.publish_async_completed()
    took = time.perf_counter() - began
    if any(ack.result().duplicate for ack in acknowledged):
        msg = "the reference published something twice"
        raise RuntimeError(msg)
    await connection.close()
    return posts / took


def tell(result: Result, runs: dict[str, list[Run]]) -> None:
    """Fill in the tables and the criteria."""
    rows = []
    for variant, own in runs.items():
        columns = [spread([getattr(run, name) for run in own]) for name in ("rate", "cpu_us", "nats_us")]
        times = [spread([getattr(run, name) for run in own]) for name in ("p50", "p90", "p99", "worst")]
        shown = [each.text(1) if times[0].median else "" for each in times]
        others = spread([100 * run.others for run in own]).text(0)
        rows.append([variant, *(each.text(0) for each in columns), *shown, others])
    names = ["variant", "comments/s", "own CPU us", "nats-server us", "p50 ms", "p90 ms", "p99 ms", "max ms", "others %"]
    result.tables.append(Table("Durable comments through one gateway", names, rows))
    rates = {variant: [run.rate for run in own] for variant, own in runs.items()}
    ratio = ratios(rates["gateway"], rates["nats-py"])
    result.notes.append(f"gateway / nats-py, round by round: {ratio.text()}")
    result.want("comments/s", spread(rates["gateway"]).median, at_least=WANTED_RATE)
    result.want("of nats-py's rate", ratio.median, at_least=WANTED_RATIO)
    paced = spread([run.p99 for run in runs["paced"]]).median
    result.want(f"p99 ms at {spread(rates['paced']).median:,.0f}/s", paced, at_most=WANTED_P99_MS)
    bars: dict[str, list[tuple[str | float, float]]] = {
        "comments/s": [(variant, spread(rates[variant]).median) for variant in VARIANTS]
    }
    result.plots.append(Plot("posting", "bars", "Durable comments through one gateway", "", "comments/s", bars))
    result.rounds = runs


def main() -> None:
    """Run it."""
    made = parser("posting", __doc__, viewers=0, seconds=4, rounds=5)
    made.add_argument("--posts", type=int, default=20_000, help="comments of an unpaced run (default %(default)s)")
    made.add_argument("--rate", type=float, default=0.8 * WANTED_RATE, help="comments/s when paced (default %(default)s)")
    made.add_argument(
        "--quiet",
        type=float,
        default=0,
        help="seconds to wait before each run until nobody else uses the machine, and to do it "
        "again when somebody did (default %(default)s)",
    )
    made.add_argument("--reference", help=argparse.SUPPRESS)
    options = parse(made)
    if options.more.reference:
        print(asyncio.run(reference(options.more.reference, options.more.posts)))
        return
    result = begin("posting", "Posting", options, posts=options.more.posts, rate=options.more.rate)
    runs = interleaved(VARIANTS, options.rounds, lambda variant: measure(variant, options))
    tell(result, runs)
    if options.more.quiet:
        result.notes.append(f"runs in which others had more than {DISTURBED:.0%} of the machine were done again")
    own = [run for each in runs.values() for run in each]
    acknowledged, stored = sum(run.acknowledged for run in own), sum(run.stored for run in own)
    result.notes.append(f"acknowledged {acknowledged:,}, in the log {stored:,}")
    result.want("comments acknowledged and not in the log", float(acknowledged - stored), at_most=0)
    result.finish()


if __name__ == "__main__":
    main()
