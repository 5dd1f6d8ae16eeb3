"""Waiting for conditions: the only way a test lets time pass."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

STEP_S = 0.02
#: How long a test waits before it calls something a failure: nothing that goes well takes as long, also where other tests have
#: the cores. A time that is promised is measured, best of some tries or with room to spare; waiting is not bounded by it.
PATIENCE_S = 30.0


async def eventually(check: Callable[[], bool | Awaitable[bool]], *, timeout: float = PATIENCE_S) -> None:
    """Return as soon as *check* is true; fail with its source after *timeout* seconds."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        answer = check()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if asyncio.get_running_loop().time() > deadline:
            msg = f"not true after {timeout} s: {inspect.getsource(check).strip()}"
            raise AssertionError(msg)
        await asyncio.sleep(STEP_S)
