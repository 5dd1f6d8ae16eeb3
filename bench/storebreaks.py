"""Ways in which a store fails, each on a store of its own, and mended again."""

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from tests.backends.rightsnode import PASSWORD, RightsNode
from tests.faults import LateProxy

MIB = 2**20
LATE_S = 2.0


class Fault:
    """Nothing at all; the others are kinds of it."""

    #: The site without a fault on the same kind of store: a page from a database costs a gateway more than one from a file.
    calm = "none"

    def __init__(self, folder: Path, node: RightsNode) -> None:
        self.folder = folder
        self.node = node

    @contextmanager
    def store(self) -> Iterator[dict[str, object]]:
        """The settings of a store that is well."""
        yield {"store_url": f"sqlite:///{self.folder}/ovation.sqlite"}

    def begin(self) -> None:
        """Break it."""

    def end(self) -> None:
        """Mend it."""


class Full(Fault):
    """A file system of its own, filled up."""

    @contextmanager
    def store(self) -> Iterator[dict[str, object]]:
        """As above, on what can be broken so."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", str(self.folder)], check=True)
        try:
            yield {"store_url": f"sqlite:///{self.folder}/ovation.sqlite"}
        finally:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def begin(self) -> None:
        """Break it."""
        with (self.folder / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(MIB)):
                pass

    def end(self) -> None:
        """Mend it."""
        (self.folder / "ballast").unlink()


class ReadOnly(Fault):
    """Nobody may write the file and its log; the shared memory beside them stays as it is, as on a disk remounted read-only."""

    def begin(self) -> None:
        """Break it."""
        self._flag("+i")

    def end(self) -> None:
        """Mend it."""
        self._flag("-i")

    def _flag(self, flag: str) -> None:
        names = [str(self.folder / f"ovation.sqlite{end}") for end in ("", "-wal")]
        subprocess.run(["chattr", flag, *names, str(self.folder)], check=True)


class OnCluster(Fault):
    """Nothing at all, on a CQL database."""

    name = calm = "none_cql"

    @contextmanager
    def store(self) -> Iterator[dict[str, object]]:
        """As above, on what can be broken so."""
        self.node.let_in(self.name, self.name)
        yield {**self._where(self.node.port), "store_user": self.name, "store_password": PASSWORD}

    def _where(self, port: int) -> dict[str, object]:
        return {"store_url": f"scylla://127.0.0.1:{port}/{self.name}"}


class Refusing(OnCluster):
    """The user may no longer write."""

    name = "refusing"

    def begin(self) -> None:
        """Break it."""
        self.node.revoke(self.name, self.name)

    def end(self) -> None:
        """Mend it."""
        self.node.grant(self.name, self.name)


class Slow(OnCluster):
    """Answers come late."""

    name = "slow"

    @contextmanager
    def store(self) -> Iterator[dict[str, object]]:
        """As above, on what can be broken so."""
        ready, over = threading.Event(), asyncio.Event()

        async def stand_between() -> None:
            self._loop = asyncio.get_running_loop()
            async with LateProxy.before(self.node.port) as proxy:
                self._proxy = cast("LateProxy", proxy)
                ready.set()
                await over.wait()

        thread = threading.Thread(target=asyncio.run, args=(stand_between(),))
        thread.start()
        ready.wait()
        try:
            with super().store() as settings:
                yield settings | self._where(self._proxy.port)
        finally:
            self._loop.call_soon_threadsafe(over.set)
            thread.join()

    def begin(self) -> None:
        """Break it."""
        self._proxy.lag = LATE_S

    def end(self) -> None:
        """Mend it."""
        self._proxy.lag = 0.0


FAULTS: dict[str, type[Fault]] = {
    "none": Fault, "full": Full, "readonly": ReadOnly, "none_cql": OnCluster, "refusing": Refusing, "slow": Slow,
}  # fmt: skip
