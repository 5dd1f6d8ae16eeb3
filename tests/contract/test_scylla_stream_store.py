"""A CQL database keeps the stream store's promises."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.scylla import Address, Database, ScyllaStreams
from infra.stores import StreamStore
from tests.contract.scylla_backend import empty
from tests.contract.stream_store import StreamStoreContract


class TestScyllaStreams(StreamStoreContract):
    """The whole contract."""

    @pytest.fixture
    async def streams(self, keyspace: Address, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StreamStore]:
        """A keyspace without rows, on a server that may have no core for a while."""
        monkeypatch.setattr("infra.scylla.cluster.REQUEST_S", 30.0)
        await asyncio.to_thread(empty, keyspace)
        database = await Database.open(keyspace)
        yield ScyllaStreams(database)
        await database.close()
