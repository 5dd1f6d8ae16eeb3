"""What was found for many who asked together: each of them is told, whatever came of it."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


async def tell(finding: Awaitable[Mapping[K, V]], waiting: Mapping[K, Iterable[asyncio.Future[V]]], nothing: V) -> None:
    """Wait for *finding*, and tell those that wait for a key what it has there, or *nothing*; its error, should it fail."""
    found: Mapping[K, V] = {}
    failure: Exception | None = None
    try:
        found = await finding
    except Exception as error:  # noqa: BLE001 - whatever it is, those who asked are told
        failure = error
    for key, answers in waiting.items():
        for answer in answers:
            if answer.done():
                # Whoever asked has left.
                continue
            if failure is not None:
                answer.set_exception(failure)
            else:
                answer.set_result(found.get(key, nothing))
