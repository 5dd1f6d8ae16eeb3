"""A folder keeps the promises of a home of objects, and some of a folder."""

from pathlib import Path

import pytest

from infra.objects.contract import ObjectStore
from infra.objects.folder import Folder
from tests.contract.object_store import ObjectStoreContract


class TestFolder(ObjectStoreContract):
    """The whole contract."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> ObjectStore:
        """A folder that does not exist yet."""
        return Folder(tmp_path / "media")

    @pytest.fixture
    def another(self, tmp_path: Path) -> ObjectStore:
        """As another process has it."""
        return Folder(tmp_path / "media")
