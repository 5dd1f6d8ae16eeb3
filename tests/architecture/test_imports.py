"""Imports mean what they say. Which way they may go is told by the contracts in pyproject.toml and checked by lint-imports."""

import importlib
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGES, ROOT, files, python

#: Packages of nats-py, those it has and those it announced: a folder of that name in nats/ would be imported for them.
NATS_PY = {"aio", "client", "contrib", "jetstream", "js", "micro", "protocol", "server"}


def test_nats_holds_configuration_and_no_python() -> None:
    """nats-py extends its path by our folder: a module in it would import as `nats.<name>`, an __init__ would replace it."""
    ours = [path for path in files() if path.parts[0] == "nats"]

    assert ours
    assert [] == [path for path in ours if path.suffix in {".py", ".pyi", ".so"}]
    assert set() == NATS_PY & {path.parts[1] for path in ours}


@pytest.mark.parametrize("package", PACKAGES)
def test_our_packages_are_the_ones_imported(package: str) -> None:
    """Neither a test folder of the same name nor an installed package takes the place of ours."""
    module = importlib.import_module(package)

    assert str(ROOT / package / "__init__.py") == module.__file__


def test_nats_is_nats_py() -> None:
    """`import nats` gives the client, not our folder."""
    module = importlib.import_module("nats")

    assert hasattr(module, "connect")
    assert module.__file__ is not None
    assert ROOT / "nats" != Path(module.__file__).parent


def test_every_folder_of_tests_is_a_package() -> None:
    """Where one has an __init__ and its parent has none, `import gateway` finds tests/gateway."""
    folders = {path.parent for path in python("tests")}

    assert [] == [folder for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()]


def test_nothing_imports_the_tests() -> None:
    """What runs in production never needs what proves it."""
    assert [] == [path for path in python(*PACKAGES, "scripts") if "from tests" in (ROOT / path).read_text()]
