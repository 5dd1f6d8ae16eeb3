"""A CQL database keeps the comment store's promises."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.scylla import Address
from tests.contract.comment_store import CommentStoreContract
from tests.contract.scylla_backend import ScyllaBackend, empty


class TestScyllaComments(CommentStoreContract):
    """The whole contract."""

    @pytest.fixture
    async def backend(self, keyspace: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScyllaBackend]:
        """A keyspace without rows, on a server that may have no core for a while."""
        monkeypatch.setattr("infra.scylla.cluster.REQUEST_S", 30.0)
        await asyncio.to_thread(empty, keyspace)
        backend = ScyllaBackend(keyspace, tmp_path)
        yield backend
        await backend.close()
