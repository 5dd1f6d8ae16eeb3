"""Which Node builds the page."""

import pytest

from scripts.node import new_enough


@pytest.mark.parametrize("version", ["v20.19.0\n", "v20.20.2", "v22.12.0", "v22.13.1", "v24.19.0", "v26.0.0"])
def test_a_node_that_vite_runs_on_is_taken(version: str) -> None:
    """20.19 and later 20s, 22.12 and later."""
    assert new_enough(version)


@pytest.mark.parametrize("version", ["v18.20.4", "v20.18.3", "v21.7.3", "v22.11.0", "", "20.19.0", "node: not found"])
def test_any_other_is_not(version: str) -> None:
    """Debian 12's own 18, the odd 21, an early 22, and whatever is no version at all."""
    assert not new_enough(version)
