"""The receiving half of loopback on the viewers' core, where a network card and other machines would have it.

On loopback a `send()` goes on to run the receiver's TCP on the sender's core: at five comments a second, with cold caches, more
than half of what a write takes. Receive packet steering (`rps_cpus`, Linux's Documentation/networking/scaling.rst) hands it to
another core; `netdev_tstamp_prequeue` 0 stamps a packet when that core takes it up, not when the sender let go of it. All that
loopback receives goes there: also the server's own half (its viewers' acknowledgements, the broker's messages), which a
card would leave with the server, so that its CPU is counted too low.
"""

import fcntl
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

STEERED = Path("/sys/class/net/lo/queues/rx-0/rps_cpus")
STAMPED_EARLY = Path("/proc/sys/net/core/netdev_tstamp_prequeue")
LOCK = Path(tempfile.gettempdir()) / "ovation-steering.lock"
#: The kernel's defaults. What was there before may be what a run that was killed has left.
DEFAULTS = ((STEERED, "0"), (STAMPED_EARLY, "1"))
ENDS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def received_on(core: int | None) -> Iterator[bool]:
    """Have *core* receive while the block lasts, for all of the machine; False where we may not say so, or for no core.

    Blocks while another run does the same.
    """
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        former = {each: signal.signal(each, _interrupt) for each in ENDS}
        try:
            _restore()
            yield core is not None and _steer(core)
        finally:
            _restore()
            for each, handler in former.items():
                signal.signal(each, handler)


def _steer(core: int) -> bool:
    try:
        STEERED.write_text(f"{1 << core:x}")
        STAMPED_EARLY.write_text("0")
    except OSError:
        _restore()
        return False
    return True


def _restore() -> None:
    for path, value in DEFAULTS:
        with suppress(OSError):
            path.write_text(value)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
