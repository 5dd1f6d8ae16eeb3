"""Objects in a bucket of a service that speaks S3.

Every wait is bounded: a connection is given up after `CONNECT_S`, an answer that stops after `SILENCE_S`, and a request is
tried `RETRIES` more times, the last of them begun within `TRYING_S`. So a service that is away is reported at once, one that
hangs within 15 s when something is read, and within a minute when something is written: the answer to that comes at its end.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from infra.errors import Conflict, Missing
from infra.objects.contract import ObjectFacts
from infra.objects.names import checked
from infra.objects.refusals import REFUSALS, code_of, unavailable

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

CONNECT_S = 3.0
SILENCE_S = 5.0
RETRIES = 2
TRYING_S = 10.0
#: One request that writes: 5 MiB at 1.4 Mbit/s.
WRITE_S = 30.0
#: The longest that one answer may be read for: a recording, by a viewer who watches it at its own pace.
FOREVER_S = 86_400.0
#: The last bound of a call that writes: so long, and a second for each MiB.
CALL_S = 60.0
MIB = 1024**2
#: Larger objects are sent in parts, so many at a time: 3 x 8 MiB of memory. A service takes 10,000 parts.
PART = 8 * MIB
AT_A_TIME = 2
PARTS = 9_000
PIECE = 128 * 1024
#: Names in one request to delete.
BATCH = 1000


class Access(Struct, frozen=True, kw_only=True):
    """Where a service is and who we are to it; empty fields are AWS's own, and what its usual variables and roles say."""

    endpoint: str = ""
    region: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""
    #: Whether the bucket is named in the host, as AWS prefers, or in the path, as most others expect.
    virtual_hosts: bool = False
    silence_s: float = SILENCE_S
    write_s: float = WRITE_S
    trying_s: float = TRYING_S


class S3:
    """An `ObjectStore` below *prefix* in *bucket*. Nothing is asked before the first call."""

    def __init__(self, access: Access, bucket: str, prefix: str = "") -> None:
        self._bucket = bucket
        self._address = access.endpoint or "AWS"
        self._silence_s = access.silence_s
        self._reading = _store(access, bucket, prefix, {"timeout": _s(FOREVER_S), "read_timeout": _s(access.silence_s)})
        self._writing = _store(access, bucket, prefix, {"timeout": _s(access.write_s)})

    async def put(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put`."""
        async with self._asking(len(data)):
            await self._writing.put_async(checked(name), data, chunk_size=PART, max_concurrency=AT_A_TIME)

    async def put_new(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put_new`, by `If-None-Match`. An answer that was lost on its way makes a conflict of the next try."""
        try:
            async with self._asking(len(data)):
                await self._writing.put_async(checked(name), data, mode="create")
        except AlreadyExistsError:
            msg = f"{name} is there already"
            raise Conflict(msg) from None

    async def put_file(self, name: str, path: Path) -> None:
        """As `ObjectStore.put_file`; the file stays."""
        checked(name)
        size = (await asyncio.to_thread(path.stat)).st_size
        async with self._asking(size):
            part = max(PART, -(-size // PARTS))
            await self._writing.put_async(name, path, chunk_size=part, max_concurrency=AT_A_TIME)

    async def facts(self, name: str) -> ObjectFacts | None:
        """As `ObjectStore.facts`."""
        checked(name)
        async with self._asking():
            try:
                return _facts(await self._reading.head_async(name))
            except FileNotFoundError:
                # The answer to HEAD has no body: whether the object or the whole bucket is not there, GET tells.
                try:
                    return _facts((await self._get(name, 0, None)).meta)
                except Missing:
                    return None

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """As `ObjectStore.read`."""
        async with self._asking():
            if not await self._holds(checked(name), start, end):
                return b""
            try:
                return bytes(await (await self._get(name, start, end)).bytes_async())
            except _PastEnd:
                return b""

    async def stream(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As `ObjectStore.stream`: one request, whose answer waits in the network while nothing is asked for."""
        async with self._asking():
            if not await self._holds(checked(name), start, end):
                return
            try:
                pieces = (await self._get(name, start, end)).stream(min_chunk_size=PIECE).__aiter__()
            except _PastEnd:
                return
        while True:
            async with self._asking():
                piece = await anext(pieces, b"")
            if not piece:
                return
            for at in range(0, len(piece), MIB):
                yield piece[at : at + MIB]

    async def list(self, prefix: str) -> AsyncIterator[ObjectFacts]:
        """As `ObjectStore.list`. Level by level, because not every service lists in the order of whole names."""
        above = [await self._level(checked(prefix) if prefix else None)]
        while above:
            entry = next(above[-1], None)
            if entry is None:
                above.pop()
            elif isinstance(entry, ObjectFacts):
                yield entry
            else:
                above.append(await self._level(entry))

    async def delete(self, names: Iterable[str]) -> None:
        """As `ObjectStore.delete`."""
        every = sorted({checked(name) for name in names})
        for first in range(0, len(every), BATCH):
            async with self._asking():
                await self._writing.delete_async(every[first : first + BATCH])

    async def _level(self, prefix: str | None) -> Iterator[ObjectFacts | str]:
        async with self._asking():
            found = await self._reading.list_with_delimiter_async(prefix)
        entries: list[tuple[str, ObjectFacts | str]] = [(f"{each}/", each) for each in found["common_prefixes"]]
        entries += [(each["path"], _facts(each)) for each in found["objects"]]
        return (entry for _, entry in sorted(entries, key=lambda each: each[0]))

    async def _holds(self, name: str, start: int, end: int | None) -> bool:
        """Whether anything can lie in a range; asking for nothing is nothing a service understands."""
        if end is None or end > start:
            return True
        if await self.facts(name) is None:
            msg = f"there is no object {name}"
            raise Missing(msg)
        return False

    async def _get(self, name: str, start: int, end: int | None) -> "GetResult":
        options: GetOptions = {}
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        try:
            return await self._reading.get_async(name, options=options)
        except FileNotFoundError as error:
            if code_of(error) == "NoSuchBucket":
                raise
            msg = f"there is no object {name}"
            raise Missing(msg) from None
        except REFUSALS as error:
            if code_of(error) in ("InvalidRange", "416"):
                raise _PastEnd from None
            raise

    @asynccontextmanager
    async def _asking(self, size: int = 0) -> AsyncIterator[None]:
        """Run a block that asks the service for something.

        Raises:
            Unavailable: it refuses, or does not answer; says why and what to do.
            AlreadyExistsError: as the service says.
        """
        try:
            async with asyncio.timeout(CALL_S + size / MIB):
                yield
        except AlreadyExistsError:
            raise
        except REFUSALS as error:
            # Without its cause, which quotes the request.
            raise unavailable(self._address, self._bucket, error) from None


class _PastEnd(Exception):
    """There is an object, and nothing of it in the range."""


def _store(access: Access, bucket: str, prefix: str, patience: "ClientConfig") -> S3Store:
    config: S3Config = {"virtual_hosted_style_request": access.virtual_hosts}
    client: ClientConfig = {**patience, "connect_timeout": _s(CONNECT_S)}
    if access.region:
        config["region"] = access.region
    if access.endpoint:
        scheme, _, host = access.endpoint.partition("://")
        # The second is what AWS_ENDPOINT_URL_S3 would otherwise take precedence with.
        config["endpoint"] = f"{scheme}://{bucket}.{host}" if access.virtual_hosts else access.endpoint
        config["aws_endpoint_url_s3"] = config["endpoint"]
        client["allow_http"] = scheme == "http"
    retry: RetryConfig = {
        "max_retries": RETRIES,
        "retry_timeout": _s(access.trying_s),
        "backoff": {"init_backoff": _s(0.1), "max_backoff": _s(2), "base": 2},
    }
    # Given by a function, so that a session token of the environment does not join our keys.
    keys: S3Credential = {
        "access_key_id": access.access_key_id,
        "secret_access_key": access.secret_access_key,
        "token": None,
        "expires_at": None,
    }
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options=client,
        retry_config=retry,
        credential_provider=(lambda: keys) if access.access_key_id else None,
    )


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _facts(meta: "ObjectMeta") -> ObjectFacts:
    # Whole seconds: HEAD knows no others.
    return ObjectFacts(meta["path"], meta["size"], int(meta["last_modified"].timestamp()) * 1000)
