"""What processes cost: CPU of all threads with kernel time, memory, system calls."""

import os
import platform
import re
import resource
import shutil
import subprocess
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started in the block runs on *core*, all its threads included."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_file_limit() -> int:
    """Allow this process and its children as many descriptors as the hard limit does; how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def stolen(core: int) -> float:
    """Seconds in which *core* had something to do and the hypervisor gave its time to other machines."""
    line = re.search(rf"^cpu{core} (.*)$", Path("/proc/stat").read_text(), re.MULTILINE)
    return int(line[1].split()[7]) / os.sysconf("SC_CLK_TCK") if line else 0.0


@dataclass(frozen=True)
class Cost:
    """A process tree at one moment: `seconds` of CPU, those it `waited` for a core that others had, `rss` in bytes."""

    seconds: float
    waited: float
    rss: int

    def since(self, before: "Cost") -> "Cost":
        """What was spent since *before*; `rss` is the growth."""
        return Cost(self.seconds - before.seconds, self.waited - before.waited, self.rss - before.rss)


def cost(*pids: int) -> Cost:
    """Read the cost of *pids* with their descendants."""
    seconds, waited, rss = 0.0, 0.0, 0
    for member in {member for pid in pids for member in family(pid)}:
        for task in Path(f"/proc/{member}/task").glob("*/schedstat"):
            ran, queued, _ = task.read_text().split()
            seconds, waited = seconds + int(ran) / 1e9, waited + int(queued) / 1e9
        rss += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * PAGE
    return Cost(seconds, waited, rss)


def write_calls_per_s(pid: int, seconds: float) -> float | None:
    """How often a second *pid* and its descendants call the kernel to write, over *seconds*; `None` where `perf` cannot count.

    Counting costs some hundred nanoseconds a call, so it is never done while CPU is measured.
    """
    if shutil.which("perf") is None:
        return None
    events = ",".join(f"syscalls:sys_enter_{name}" for name in ("sendto", "sendmsg", "write", "writev"))
    pids = ",".join(str(each) for each in family(pid))
    done = subprocess.run(
        ["perf", "stat", "-x,", "-e", events, "-p", pids, "--", "sleep", str(seconds)],
        capture_output=True,
        text=True,
        check=False,
    )
    counted = parse_perf(done.stderr) if done.returncode == 0 else None
    return counted / seconds if counted is not None else None


def parse_perf(listed: str) -> int | None:
    """Sum `perf stat -x,`; `None` when an event was not counted."""
    counts = [line.split(",")[0] for line in listed.splitlines() if "sys_enter" in line]
    return sum(int(count) for count in counts) if counts and all(count.isdecimal() for count in counts) else None


def socket_memory(port: int) -> tuple[int, int]:
    """(sockets, bytes of kernel memory) of the connections whose own end is *port*: buffers as `ss -m` accounts for them."""
    listed = subprocess.run(
        ["ss", "-tmnOH", "state", "established", f"sport = :{port}"], capture_output=True, text=True, check=True
    ).stdout
    return parse_socket_memory(listed)


def parse_socket_memory(listed: str) -> tuple[int, int]:
    """Sum `ss -tmnOH`: allocated receive and send memory plus what is forward allocated."""
    sockets, total = 0, 0
    for line in listed.splitlines():
        found = re.search(r"skmem:\(r(\d+),rb\d+,t(\d+),tb\d+,f(\d+),w(\d+)", line)
        if found:
            received, _in_flight, forward, queued = (int(number) for number in found.groups())
            sockets += 1
            # What is on its way is part of what is queued.
            total += received + forward + queued
    return sockets, total


def tcp_memory() -> int:
    """Bytes of buffers of all TCP sockets of this machine, both ends of a loopback connection included."""
    found = re.search(r"TCP: .* mem (\d+)", Path("/proc/net/sockstat").read_text())
    return int(found[1]) * PAGE if found else 0


def slab_memory() -> int:
    """Bytes of kernel structures of this machine: for sockets and files, those of both ends of a loopback connection."""
    found = re.search(r"Slab:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return int(found[1]) * 1024 if found else 0


def machine() -> str:
    """What this machine and its Python are, in a line, and how quick they are now: the best of five, half a second."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = cpu[1] if cpu else "unknown CPU"
    ms = min(timeit.repeat(lambda: sum(range(5_000_000)), number=1)) * 1000
    python = f"Python {platform.python_version()}, which adds 5 million numbers in {ms:.0f} ms"
    return f"{os.cpu_count()} x {name}, Linux {os.uname().release}, {python}"
