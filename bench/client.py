"""The load generator `client.c` as an object: commands in, reports out."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import msgspec
from msgspec import Struct

from bench.build import program
from bench.cpu import Cost, cost, on_core

#: Nothing came in for so long: the end, for viewers who have everything, and for others.
STILL_S = 0.3
STUCK_S = 3.0


class Latency(Struct, frozen=True):
    """A distribution, in milliseconds; `None` where nothing was counted."""

    count: int
    mean: float | None
    p10: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    p999: float | None
    max: float | None


class Violations(Struct, frozen=True):
    """What must not happen, counted since the client started.

    `chain`: a delivery whose `prev` is not the `to` before it; `missing`, `repeated`: sequences; `disorder`: items out of
    order or outside their range; `mislabelled`: an id that is not `to`; `ended`, `refused`: connections.
    """

    chain: int
    repeated: int
    missing: int
    disorder: int
    mislabelled: int
    gaps: int
    gap_seqs: int
    busy: int
    ended: int
    refused: int
    inflate: int

    @property
    def total(self) -> int:
        """All of them; `gap_seqs` says how large the gaps were and is none itself."""
        kinds: tuple[int, ...] = msgspec.structs.astuple(self)
        return sum(kinds) - self.gap_seqs


class Recovery(Struct, frozen=True):
    """Group B's return: how many are connected and whole, the second the last one was, and connections tried again."""

    wanted: int
    connected: int
    connected_s: float
    whole: int
    whole_s: float
    retries: int


class Report(Struct, frozen=True):
    """What the client counted since the last mark. `a` and `b` are the groups' latencies, `interval` one viewer's windows.

    Latency counts until the client has read; where it is `stamped`, until its kernel had the bytes, and `read` until it has.

    `windows` are deliveries, `many` receives that held more than one; `complete` viewers are without a violation and at the
    newest sequence anybody has, `max_to`; `oldest` is where the last of them is.
    """

    seconds: float
    client_cpu_s: float
    viewers: int
    open: int
    positioned: int
    complete: int
    bad: int
    compressed: int
    oldest: int
    max_to: int
    windows: int
    items: int
    receives: int
    many: int
    bytes: int
    plain_bytes: int
    sampled_windows: int
    violations: Violations
    first_status: int
    recovery: Recovery
    published: int
    acked: int
    refused_posts: int
    first_refused: int
    late: int
    waiting: int
    log_seq: int
    ack: Latency
    a: Latency
    b: Latency
    read: Latency
    interval: Latency

    @property
    def whole(self) -> bool:
        """Whether every viewer has everything, once and in order."""
        return self.complete == self.viewers and self.violations.total == 0


class Opened(Struct, frozen=True):
    """All viewers were answered: `open` of them with a 200."""

    open: int
    seconds: float
    refused: int
    first_status: int


class ClientFailed(Exception):
    """The load generator ended or did not answer; its own words are on stderr."""


class Client:
    """One running load generator; the options are those of client.c with underscores."""

    def __init__(self, core: int, **options: object) -> None:
        arguments = [f"--{name.replace('_', '-')}={_text(value)}" for name, value in options.items()]
        with on_core(core):
            self._process = subprocess.Popen(
                [str(program("client")), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        self._stdin, self._stdout = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, command: str) -> None:
        """Give a command that is answered at once."""
        self._write(command)
        self._answer("ok")

    def open(self, *, positioned: bool = True) -> Opened:
        """Open all viewers and, if *positioned*, wait until each had its first delivery.

        Raises:
            ClientFailed: a viewer was refused, or stays without a delivery.
        """
        self.tell("open")
        opened = msgspec.convert(self._answer("opened"), Opened)
        if opened.refused:
            msg = f"{opened.refused} of the viewers were refused, the first with status {opened.first_status}"
            raise ClientFailed(msg)
        if positioned:
            self.until(lambda report: report.positioned >= report.viewers, "every viewer has a first delivery")
        return opened

    def report(self) -> Report:
        """What was counted since the last mark."""
        self._write("report")
        return msgspec.convert(self._answer("report"), Report)

    def over(self, seconds: float, *pids: int) -> tuple[Report, Cost]:
        """Count anew for *seconds*: the report of them, and what the processes *pids* spent meanwhile."""
        self.tell("mark")
        before = cost(*pids)
        time.sleep(seconds)
        return self.report(), cost(*pids).since(before)

    def until(self, met: Callable[[Report], bool], what: str, seconds: float = 30.0, step: float = 0.05) -> Report:
        """Ask for reports until one meets the condition.

        Raises:
            ClientFailed: none did within *seconds*; the message has the last one.
        """
        deadline = time.monotonic() + seconds
        while not met(report := self.report()):
            if time.monotonic() > deadline:
                msg = f"not within {seconds} s: {what}; {report}"
                raise ClientFailed(msg)
            time.sleep(step)
        return report

    def settle(self, seconds: float = 30.0) -> Report:
        """Stop publishing and wait until all viewers have everything, nothing has come in for 3 s, or *seconds* are over."""
        self.tell("quiet")
        start = moved = time.monotonic()
        before = self.report()
        while time.monotonic() - start < seconds:
            time.sleep(0.1)
            report, now = self.report(), time.monotonic()
            if (report.items, report.acked, report.waiting) != (before.items, before.acked, before.waiting):
                moved = now
            before = report
            done = report.complete == report.viewers and report.waiting == 0 and report.max_to >= report.log_seq
            if now - moved > (STILL_S if done else STUCK_S):
                break
        return before

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _write(self, command: str) -> None:
        try:
            self._stdin.write(command + "\n")
            self._stdin.flush()
        except BrokenPipeError:
            msg = f"the load generator is gone before {command!r}"
            raise ClientFailed(msg) from None

    def _answer(self, event: str) -> dict[str, object]:
        line = self._stdout.readline()
        answer: dict[str, object] = json.loads(line) if line else {}
        if answer.get("event") != event:
            msg = f"the load generator said {line!r} where {event!r} was expected"
            raise ClientFailed(msg)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def write_lines(path: Path, lines: list[str]) -> Path:
    """Write *lines* for the client to read; the path again."""
    path.write_text("\n".join(lines) + "\n")
    return path


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
