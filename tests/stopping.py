"""SIGSTOP that has taken effect: the kernel says yes before the last thread stands still."""

import os
import signal
from pathlib import Path
from time import monotonic

from tests.waits import PATIENCE_S

#: Of `/proc/PID/task/TID/stat`: stopped, or gone meanwhile.
STILL = frozenset("TtZX")


def stop(pid: int) -> None:
    """Stop a process and wait, busily and for less than a tick as a rule, until none of its threads runs any more.

    A thread on another core ends what it is doing first: a broker has acknowledged a post that was made after the signal.

    Raises:
        ProcessLookupError: there is no such process.
        AssertionError: it runs on.
    """
    os.kill(pid, signal.SIGSTOP)
    until = monotonic() + PATIENCE_S
    while not _stands_still(pid):
        assert monotonic() < until, f"{pid} runs on, although it was stopped"
        os.sched_yield()


def _stands_still(pid: int) -> bool:
    states = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            # The name before it may hold anything but a line's end.
            states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return STILL.issuperset(states)
