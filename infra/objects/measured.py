"""A home of objects that counts what is done in it, and how long that takes."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import OvationError, Unavailable
from infra.objects.contract import ObjectFacts, ObjectStore
from infra.telemetry import metrics


class Measured:
    """An `ObjectStore` around another; a stream or a listing counts until its first piece."""

    def __init__(self, home: ObjectStore) -> None:
        self._home = home

    async def put(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put`."""
        with _timed("put"):
            await self._home.put(name, data)

    async def put_new(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put_new`."""
        with _timed("put"):
            await self._home.put_new(name, data)

    async def put_file(self, name: str, path: Path) -> None:
        """As `ObjectStore.put_file`."""
        with _timed("put_file"):
            await self._home.put_file(name, path)

    async def facts(self, name: str) -> ObjectFacts | None:
        """As `ObjectStore.facts`."""
        with _timed("facts"):
            return await self._home.facts(name)

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """As `ObjectStore.read`."""
        with _timed("read"):
            return await self._home.read(name, start, end)

    async def stream(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As `ObjectStore.stream`."""
        pieces = self._home.stream(name, start, end)
        try:
            with _timed("stream"):
                piece = await anext(pieces, b"")
            while piece:
                yield piece
                piece = await anext(pieces, b"")
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]  # a generator, as everywhere

    async def list(self, prefix: str) -> AsyncIterator[ObjectFacts]:
        """As `ObjectStore.list`."""
        every = self._home.list(prefix)
        with _timed("list"):
            found = await anext(every, None)
        while found is not None:
            yield found
            found = await anext(every, None)

    async def delete(self, names: Iterable[str]) -> None:
        """As `ObjectStore.delete`."""
        with _timed("delete"):
            await self._home.delete(names)


@contextmanager
def _timed(operation: str) -> Iterator[None]:
    began, result = time.monotonic(), "ok"
    try:
        yield
    except Unavailable:
        result = "unavailable"
        raise
    except OvationError:
        result = "refused"
        raise
    finally:
        metrics.OBJECT_SECONDS.labels(operation, result).observe(time.monotonic() - began)
