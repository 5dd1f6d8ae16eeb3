"""The promises of `infra.objects.contract.ObjectStore`, for any implementation.

An implementation gives the fixture `home`, an empty home, and `another`, a second handle on the same; nothing in here knows
which one it is.
"""

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from infra.errors import Conflict, Missing
from infra.objects.contract import ObjectStore

A_MOMENT_MS = 120_000
MIB = 1024**2


async def names(home: ObjectStore, prefix: str = "") -> list[str]:
    """What is listed."""
    return [each.name async for each in home.list(prefix)]


async def streamed(home: ObjectStore, name: str, start: int = 0, end: int | None = None) -> list[bytes]:
    """The pieces of an object."""
    return [bytes(piece) async for piece in home.stream(name, start, end)]


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class ObjectStoreContract:
    """Every implementation passes all of these."""

    async def test_what_was_put_is_there(self, home: ObjectStore, another: ObjectStore) -> None:
        """To the byte, with its size and the time it came; for whoever else looks, too; empty objects are objects."""
        data = random.Random(5).randbytes(100_001)
        await home.put("s/recording/source/0000000001-1-0-5-1000.m4s", data)
        await home.put("s/empty", b"")

        for each in (home, another):
            assert await each.read("s/recording/source/0000000001-1-0-5-1000.m4s") == data
            assert await each.read("s/empty") == b""
            assert await streamed(each, "s/empty") == []
            found = await each.facts("s/recording/source/0000000001-1-0-5-1000.m4s")
            assert found is not None
            assert (found.name, found.size) == ("s/recording/source/0000000001-1-0-5-1000.m4s", len(data))
            assert abs(found.modified_ms - time.time() * 1000) < A_MOMENT_MS
            assert found in [listed async for listed in each.list("s")]

    async def test_what_is_not_there(self, home: ObjectStore) -> None:
        """An empty home lists nothing; reading what is not there says so before the first byte; a folder is no object."""
        assert await names(home) == []
        assert await names(home, "s") == []
        assert await home.facts("s/x") is None
        with pytest.raises(Missing):
            await home.read("s/x")
        with pytest.raises(Missing):
            await anext(home.stream("s/x"))
        await home.put("s/x/y", b"1")
        assert await home.facts("s/x") is None
        assert await home.facts("s/x/y/z") is None
        for name in ("s/x", "s/x/y/z"):
            with pytest.raises(Missing):
                await home.read(name)

    async def test_a_second_put_takes_the_place(self, home: ObjectStore, another: ObjectStore) -> None:
        """Whole, larger or smaller, at once for everybody."""
        for data in (b"first" * 100, b"second", b"third" * 1000):
            await home.put("s/poster.jpg", data)
            assert await another.read("s/poster.jpg") == data
        assert await names(home) == ["s/poster.jpg"]

    async def test_one_of_all_who_put_new_succeeds(self, home: ObjectStore, another: ObjectStore) -> None:
        """The others are told, and change nothing; afterwards so is everybody, while a plain put still may."""

        async def attempt(n: int) -> int:
            try:
                await (home if n % 2 else another).put_new("s/one", b"%d" % n * 1000)
            except Conflict:
                return -1
            return n

        won = [n for n in await asyncio.gather(*map(attempt, range(8))) if n >= 0]
        assert len(won) == 1
        assert await home.read("s/one") == b"%d" % won[0] * 1000
        with pytest.raises(Conflict, match="s/one"):
            await another.put_new("s/one", b"late")
        assert await home.read("s/one") == b"%d" % won[0] * 1000
        await home.put("s/one", b"replaced")
        assert await home.read("s/one") == b"replaced"

    async def test_ranges(self, home: ObjectStore) -> None:
        """Any part of it, read or streamed, is what a slice would be; past its end there is less, or nothing."""
        data = bytes(range(256)) * 8
        await home.put("s/x", data)
        size = len(data)
        for start, end in [
            (0, 10),
            (5, None),
            (size - 1, size),
            (size - 3, size + 9),
            (size, None),
            (size + 5, size + 6),
            (7, 7),
        ]:
            assert await home.read("s/x", start, end) == data[start:end], (start, end)
            assert b"".join(await streamed(home, "s/x", start, end)) == data[start:end], (start, end)

    async def test_a_stream_comes_in_small_pieces(self, home: ObjectStore) -> None:
        """At most 1 MiB each, however large the object, in order; whoever stops in the middle leaves nothing behind."""
        data = random.Random(6).randbytes(20 * MIB + 17)
        await home.put("s/film", data)
        before = _descriptors()
        for start, end in [(0, None), (3 * MIB + 5, 19 * MIB + 1)]:
            pieces = await streamed(home, "s/film", start, end)
            assert all(0 < len(piece) <= MIB for piece in pieces)
            assert b"".join(pieces) == data[start:end]
        reading = home.stream("s/film")
        assert data.startswith(await anext(reading))
        await reading.aclose()  # type: ignore[attr-defined]  # an async generator, which the contract need not say
        assert _descriptors() <= before + 3

    async def test_who_began_to_read_goes_on(self, home: ObjectStore) -> None:
        """An object that is replaced or deleted under its reader stays what it was for him."""
        data = random.Random(7).randbytes(3 * MIB)
        await home.put("s/film", data)
        reading = home.stream("s/film")
        first = await anext(reading)
        await home.put("s/film", b"another")
        assert first + b"".join([piece async for piece in reading]) == data
        reading = home.stream("s/film")
        assert await anext(reading) == b"another"
        await home.delete(["s/film"])
        assert [piece async for piece in reading] == []

    async def test_a_file_is_taken(self, home: ObjectStore, tmp_path: Path) -> None:
        """Of any size, in the place of what was there; then with the time of its coming."""
        data = random.Random(8).randbytes(13 * MIB + 1)
        for content in (data, b"", b"small"):
            file = tmp_path / "spool"
            file.write_bytes(content)
            os.utime(file, (1_000_000, 1_000_000))
            await home.put_file("s/recording/recording.mp4", file)
            assert await home.read("s/recording/recording.mp4") == content
            found = await home.facts("s/recording/recording.mp4")
            assert found is not None
            assert abs(found.modified_ms - time.time() * 1000) < A_MOMENT_MS
        with pytest.raises(FileNotFoundError):
            await home.put_file("s/x", tmp_path / "none")

    async def test_listings_ascend(self, home: ObjectStore) -> None:
        """By the whole name, byte by byte, whatever the folders; a prefix is words, and not the object of that name."""
        every = ["a", "a-b/c", "a.b", "a/b", "a0/x", "b/1-x", "b/1.x", "b/1/x", "b/10/x", "b/1_x", "b/2", "ba", "c/d/e/f"]
        every = sorted(name for name in every if name != "a")
        for name in random.Random(9).sample(every, len(every)):
            await home.put(name, name.encode())

        assert await names(home) == every
        assert await names(home, "b") == ["b/1-x", "b/1.x", "b/1/x", "b/10/x", "b/1_x", "b/2"]
        assert await names(home, "b/1") == ["b/1/x"]
        assert await names(home, "b/2") == []
        assert await names(home, "c/d") == ["c/d/e/f"]
        assert await names(home, "nothing") == []

    async def test_a_long_listing(self, home: ObjectStore) -> None:
        """More than a service gives at once (1000): each once, in order."""
        every = [f"s/{n:05d}" for n in range(2500)]
        for first in range(0, len(every), 250):
            await asyncio.gather(*(home.put(name, b"") for name in every[first : first + 250]))

        assert await names(home, "s") == every
        await home.delete(every[:-1])
        assert await names(home, "s") == every[-1:]

    async def test_deleting(self, home: ObjectStore) -> None:
        """What is there and what is not, from any iterable; the rest stays; a name may be used again."""
        for name in ("s/a/1", "s/a/2", "s/b"):
            await home.put(name, b"x")
        await home.delete(name for name in ("s/a/1", "s/none", "none/at/all", "s/a/1"))
        await home.delete([])
        assert await names(home) == ["s/a/2", "s/b"]
        assert await home.facts("s/a/1") is None
        await home.delete(["s/a/2"])
        await home.put("s/a", b"where a folder was")
        assert await home.read("s/a") == b"where a folder was"

    async def test_deleting_and_putting_at_once(self, home: ObjectStore, another: ObjectStore) -> None:
        """Who empties a place does not take what is put there meanwhile."""
        for _ in range(20):
            await home.put("s/deep/old", b"")
            await asyncio.gather(home.delete(["s/deep/old"]), another.put("s/deep/new", b"1"))
            assert await names(home) == ["s/deep/new"]
            await home.delete(["s/deep/new"])

    @pytest.mark.parametrize(
        "name",
        ["", "/", "/a", "a/", "a//b", "..", "a/../b", ".a", "a/.b", "a b", "ä", "a\\b", "a\n", "x" * 101, "a/" * 600 + "a"],
    )
    async def test_what_is_no_name(self, home: ObjectStore, tmp_path: Path, name: str) -> None:
        """Refused by every call before anything is touched: whoever made it has not looked at it."""
        file = tmp_path / "spool"
        file.write_bytes(b"x")
        for call in (
            home.put(name, b"x"),
            home.put_new(name, b"x"),
            home.put_file(name, file),
            home.facts(name),
            home.read(name),
            anext(home.stream(name)),
            home.delete([name]),
        ):
            with pytest.raises(ValueError, match="no name of an object"):
                await call
        if name:
            with pytest.raises(ValueError, match="no name of an object"):
                await names(home, name)
        assert await names(home) == []
        assert file.exists()
