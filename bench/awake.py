"""Cores that never idle: on a virtual machine, one that idles for a moment is given to others, and comes back late.

Of two cores that were busy all the time the hypervisor took 1 %; of the same cores while a gateway and its load generator
waited for each other a thousand times a second up to 23 %, which is what `stolen` shows, and 4 % at most with this beside them
(2026-11-23, five runs of each in turns). A process that runs when nothing else does takes nothing from what is measured.
"""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.build import program
from bench.cpu import on_core


@contextmanager
def awake(*cores: int) -> Iterator[None]:
    """Keep *cores* awake in the block."""
    with ExitStack() as ends:
        for core in cores:
            with on_core(core):
                spinning = subprocess.Popen([str(program("awake"))])
            ends.callback(spinning.wait)
            ends.callback(spinning.kill)
        yield
