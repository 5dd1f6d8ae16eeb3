"""Ports that tests start their servers on."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ports import Ports, unused

HOLDER = """
import sys
from pathlib import Path
from tests.ports import Ports
print(Ports(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).free(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(name="few")
def _few(tmp_path: Path) -> Callable[[int], Ports]:
    """So many ports only, all of them unused, and below those that other tests are given."""

    def few(count: int) -> Ports:
        ranges = (range(lowest, lowest + count) for lowest in range(9_300, 9_900, count))
        found = next(ports for ports in ranges if all(unused("127.0.0.1", port) for port in ports))
        return Ports(tmp_path / "claims", found.start, found.stop, tries=200 * count)

    return few


def test_none_is_given_twice(few: Callable[[int], Ports]) -> None:
    """Eight ports for one server are eight, though none of them is listened on yet; where there are no more, it says so."""
    ports = few(8)
    assert {ports.free() for _ in range(8)} == set(range(ports.lowest, ports.highest))
    with pytest.raises(OSError, match=r"no free port on 127\.0\.0\.1 in 1600 tries"):
        ports.free()


def test_what_another_process_was_given_is_not_given(few: Callable[[int], Ports]) -> None:
    """Of two ports one is another process's until that ends; then it is anybody's, however it ended."""
    ports = few(2)
    command = [sys.executable, "-c", HOLDER, str(ports.claims), str(ports.lowest), str(ports.highest)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        theirs = int(holder.stdout.readline())
        assert {ports.free(), theirs} == {ports.lowest, ports.lowest + 1}
        with pytest.raises(OSError, match="no free port"):
            ports.free()
        holder.kill()
        holder.wait()
        assert ports.free() == theirs


def test_it_is_free_on_all_hosts(few: Callable[[int], Ports]) -> None:
    """A port that somebody has on one of three addresses is not one for all three."""
    ports = few(2)
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.3", ports.lowest))
        assert ports.free("127.0.0.1", "127.0.0.2", "127.0.0.3") == ports.lowest + 1
