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
    async def backend(self, keyspace: Address, tmp_path: Path) -> AsyncIterator[ScyllaBackend]:
        """A keyspace without rows."""
        await asyncio.to_thread(empty, keyspace)
        backend = ScyllaBackend(keyspace, tmp_path)
        yield backend
        await backend.close()
