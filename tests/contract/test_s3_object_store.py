"""A bucket of a real S3 service keeps the promises of a home of objects."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from infra.errors import Unavailable
from infra.objects.contract import ObjectStore
from infra.objects.s3 import S3
from tests.backends.s3 import KEY, READER, S3Elsewhere, WeedServer
from tests.contract.memory import bounded
from tests.contract.object_store import ObjectStoreContract
from tests.waits import PATIENCE_S

pytestmark = pytest.mark.s3


class TestS3(ObjectStoreContract):
    """The whole contract."""

    @pytest.fixture
    def prefix(self) -> str:
        """A part of the bucket that nobody has used."""
        return f"tests/{uuid.uuid4().hex}"

    @pytest.fixture
    def home(self, s3_server: WeedServer | S3Elsewhere, prefix: str) -> ObjectStore:
        """A bucket's part."""
        return S3(s3_server.access(), s3_server.bucket, prefix)

    @pytest.fixture
    def another(self, s3_server: WeedServer | S3Elsewhere, prefix: str) -> ObjectStore:
        """As another process has it."""
        return S3(s3_server.access(), s3_server.bucket, prefix)


SHORT = {"silence_s": 0.5, "write_s": 1.0, "trying_s": 1.0}
#: For what is answered at once, by a service that may not have a core for a while.
PATIENT = {"silence_s": 10.0, "write_s": 10.0, "trying_s": 10.0}


def every_call(home: S3, file: Path) -> dict[str, Awaitable[object]]:
    """One of each."""
    return {
        "put": home.put("a", b"1"),
        "put_new": home.put_new("b", b"1"),
        "put_file": home.put_file("c", file),
        "facts": home.facts("a"),
        "read": home.read("a"),
        "stream": anext(home.stream("a")),
        "list": anext(home.list("")),
        "delete": home.delete(["a"]),
    }


async def refused(home: S3, file: Path, said: str, seconds: float) -> None:
    """All calls are refused with what is *said*, each within *seconds*; nobody's secret is told."""
    for name, call in every_call(home, file).items():
        async with asyncio.timeout(seconds):
            with pytest.raises(Unavailable, match=said) as refusal:
                await call
        assert KEY[1] not in repr(refusal.value), name
        assert refusal.value.__cause__ is None, name
    assert await asyncio.to_thread(file.exists)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.write_bytes(b"x" * 20_000_000)
    return path


@pytest.mark.parametrize(
    ("changed", "bucket", "said"),
    [
        ({"endpoint": "http://127.0.0.1:9"}, "ovation", "127.0.0.1:9 does not take connections: see whether it runs"),
        ({"endpoint": "http://nowhere.invalid"}, "ovation", "nowhere.invalid is at a name that nobody knows"),
        ({"access_key_id": "nobody"}, "ovation", "the access key|refuses: see that bucket"),
        ({"secret_access_key": "wrong"}, "ovation", "does not belong to the access key|refuses: see that bucket"),
        # A key that may not make buckets is not always told that there is none.
        ({}, "no-such-bucket", "has no bucket no-such-bucket: make it|refuses: see that bucket no-such-bucket exists"),
    ],
)
async def test_what_is_wrong_is_said(
    s3_server: WeedServer | S3Elsewhere, file: Path, changed: dict[str, object], bucket: str, said: str
) -> None:
    """Nobody there, a name nobody knows, a wrong key or secret, no such bucket: by every call, at once, with the next step."""
    times = SHORT if "endpoint" in changed else PATIENT
    await refused(S3(s3_server.access(**times, **changed), bucket, "p"), file, said, PATIENCE_S)


async def test_no_such_bucket_is_no_missing_object(s3_server: WeedServer | S3Elsewhere) -> None:
    """It is named by reading, too, and facts do not say that there is nothing."""
    home = S3(s3_server.access(), "no-such-bucket")
    for call in (home.facts("a"), home.read("a"), anext(home.stream("a")), anext(home.list("a")), home.delete(["a"])):
        with pytest.raises(Unavailable, match="has no bucket no-such-bucket: make it, or correct OVATION_MEDIA_URL"):
            await call


async def test_a_key_that_may_only_read(s3_server: WeedServer | S3Elsewhere) -> None:
    """Reads, and is told what it may not."""
    await S3(s3_server.access(), s3_server.bucket, "readable").put("a", b"1")
    home = S3(s3_server.access(access_key_id=READER[0], secret_access_key=READER[1]), s3_server.bucket, "readable")
    assert await home.read("a") == b"1"
    for call in (home.put("a", b"2"), home.delete(["a"])):
        with pytest.raises(Unavailable, match="the key may list, read, write and delete in it"):
            await call


async def test_a_service_that_hangs(own_s3_server: WeedServer, file: Path) -> None:
    """SIGSTOP: every call gives up within its time, a stream in the middle as well; after SIGCONT all is well."""
    await S3(own_s3_server.access(), own_s3_server.bucket).put_file("film", file)
    home = S3(own_s3_server.access(**SHORT), own_s3_server.bucket)
    reading = home.stream("film")
    await anext(reading)
    own_s3_server.pause()
    try:
        await refused(home, file, "has not answered in time", PATIENCE_S)
        with pytest.raises(Unavailable, match="has not answered in time"):
            await asyncio.wait_for(_rest(reading), PATIENCE_S)
    finally:
        own_s3_server.resume()
    assert len(await home.read("film")) == 20_000_000


async def _rest(reading: AsyncIterator[bytes]) -> None:
    async for _ in reading:
        pass


async def test_large_objects_take_little_memory(s3_server: WeedServer | S3Elsewhere, tmp_path: Path) -> None:
    """200 MB there and back: less than 32 MB more."""
    home = S3(s3_server.access(), s3_server.bucket, f"tests/{uuid.uuid4().hex}")
    await bounded(home, tmp_path)
    await home.delete(["s/film.mp4"])
