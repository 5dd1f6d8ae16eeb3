"""What a home of objects promises. A folder keeps them on one machine; an S3-compatible service keeps the same on a cluster.

Names are relative, of one or more words `[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}` joined by `/`, so that a name never leaves its
home; what is none is a `ValueError` before anything happens. An object appears under its name whole or not at all, and a reader
that began keeps what it began with. All methods raise `infra.errors.Unavailable` when the home does not answer, refuses, or is
full; repeating the same is safe. None blocks the event loop.
"""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Protocol

from msgspec import Struct


class ObjectFacts(Struct, frozen=True):
    """What is known of an object without reading it; *size* in bytes, *modified_ms* since the epoch by the home's clock."""

    name: str
    size: int
    modified_ms: int


class ObjectStore(Protocol):
    """A home of objects."""

    async def put(self, name: str, data: bytes) -> None:
        """Keep *data* as *name*, in the place of what was there."""

    async def put_new(self, name: str, data: bytes) -> None:
        """Keep *data* as *name* where nothing is yet; of those who try at once, one succeeds.

        Raises:
            infra.errors.Conflict: there is an object of that name.
        """

    async def put_file(self, name: str, path: Path) -> None:
        """Keep the contents of the local file *path* as *name*, of any size, in bounded memory.

        The file may be gone afterwards: a folder on the same disk takes it as it is. After an error it is still there.

        Raises:
            FileNotFoundError: there is no such file.
        """

    async def facts(self, name: str) -> ObjectFacts | None:
        """What is known of *name*; `None` where there is no such object."""

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from *start* up to, not including, *end* (`None`: the last one). Fewer where the object is shorter.

        Raises:
            infra.errors.Missing: there is no such object.
        """

    def stream(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The same in pieces of at most 1 MiB, read as they are asked for.

        Raises:
            infra.errors.Missing: from the iterator, before the first piece: there is no such object.
        """

    def list(self, prefix: str) -> AsyncIterator[ObjectFacts]:
        """Every object whose name begins with the words *prefix*, and has more; ascending by name.

        `a/b` finds `a/b/c`, neither `a/bc` nor `a/b`; an empty *prefix* finds all. Names ascend byte by byte:
        `a-b/c`, `a.b`, `a/b`, `a0`.
        """

    async def delete(self, names: Iterable[str]) -> None:
        """Let go of *names*; those that are not there are no error."""
