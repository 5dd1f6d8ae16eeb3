"""SQLite keeps the stream store's promises."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.sqlite import Database, SqliteStreams
from infra.stores import StreamStore
from tests.contract.stream_store import StreamStoreContract


class TestSqliteStreams(StreamStoreContract):
    """The whole contract."""

    @pytest.fixture
    async def streams(self, tmp_path: Path) -> AsyncIterator[StreamStore]:
        """An empty file."""
        database = await Database.open(tmp_path / "ovation.sqlite")
        yield SqliteStreams(database)
        await database.close()
