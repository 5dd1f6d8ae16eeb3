"""Descriptors: viewers and connections fit into what the system allows, whatever is asked for."""

import resource
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.descriptors import RESERVED, fit, fitted
from infra.environment import load


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(256, 2**20))
def test_all_of_them_fit(viewers: int, connections: int, descriptors: int) -> None:
    """Never more than was asked for, never more than there are, both at least one."""
    most_viewers, most_connections = fit(viewers, connections, descriptors)

    assert 1 <= most_viewers <= viewers
    assert 1 <= most_connections <= connections
    assert most_viewers + most_connections * 3 // 2 + RESERVED <= descriptors


def test_what_fits_is_left_alone() -> None:
    """The defaults, on a machine with a raised bound; on one with 20,000 descriptors viewers have most of them."""
    assert fit(50_000, 10_000, 2**20) == (50_000, 10_000)
    viewers, connections = fit(50_000, 10_000, 20_000)
    assert viewers > 13_000
    assert connections > 3_000


def test_there_is_room_for_all_before_they_come() -> None:
    """The kernel's table of descriptors does not grow in the middle of a storm, when that would hold everybody up."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(2 * _room(), soft - RESERVED - 30)

    settings = fitted(load({"OVATION_MAX_VIEWERS": str(wanted), "OVATION_MAX_CONNECTIONS": "20"}))

    assert settings.max_viewers == wanted
    assert _room() >= RESERVED + wanted + 30


def _room() -> int:
    """Descriptors that this process's table has room for."""
    told = Path("/proc/self/status").read_text()
    return int(told.partition("FDSize:")[2].split()[0])
