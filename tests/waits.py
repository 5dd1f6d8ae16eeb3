"""Waiting for conditions: the only way a test lets time pass."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

STEP_S = 0.02


async def eventually(check: Callable[[], bool | Awaitable[bool]], *, timeout: float = 10.0) -> None:
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
