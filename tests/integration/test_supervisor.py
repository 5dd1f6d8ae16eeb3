"""Children of `ovation up`, with small programs in their place: restarts, backoff, logs, and ends."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ovation import child, supervisor
from ovation.supervisor import Program, Supervised
from tests.stopping import stop
from tests.ups import alive, descendants
from tests.waits import PATIENCE_S, eventually

TELLS = 'import os, sys; os.write(int(sys.argv[-1]), b\'{"state": "ready", "ops_url": "http://here"}\\n\');'
WAITS = "import signal; signal.pause()"


@asynccontextmanager
async def supervised(folder: Path, source: str, name: str = "child") -> AsyncIterator[Supervised]:
    """A supervised Python program, ended at the end."""
    program = Program(name=name, command=[sys.executable, "-c", source], environment=dict(os.environ))
    made = Supervised(program, folder / "child.log", lambda: None)
    made.start()
    try:
        yield made
    finally:
        made.kill()
        await made.stop(5)


async def test_it_is_ready_when_it_says_so(tmp_path: Path) -> None:
    """Its state and internal port come over the pipe; then SIGTERM ends it and the row says stopped."""
    async with supervised(tmp_path, TELLS + WAITS) as made:
        await asyncio.wait_for(made.ready.wait(), PATIENCE_S)
        assert (made.row.state, made.row.ops_url, made.row.restarts) == ("ready", "http://here", 0)
        await made.stop(5)
        assert (made.row.state, made.row.pid) == ("stopped", None)


async def test_what_ends_is_started_again_later_and_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each end counts, with its code and the wait in the note; a stop does not sit out the wait."""
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_S", 0.01)
    async with supervised(tmp_path, "raise SystemExit(3)") as made:
        await eventually(lambda: made.row.restarts >= 4)
        assert "ended with 3, again in" in made.row.note
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_S", 60.0)
    monkeypatch.setattr(supervisor, "LAST_BACKOFF_S", 60.0)
    async with supervised(tmp_path, "raise SystemExit(3)") as made:
        await eventually(lambda: made.row.restarts == 1)
        await asyncio.wait_for(made.stop(30), 20)
        assert made.row.state == "stopped"


async def test_a_wrong_setting_is_final(tmp_path: Path) -> None:
    """Exit code 2 is told with the child's own last line, instead of being tried for ever."""
    async with supervised(tmp_path, "import sys; print('ovation: OVATION_X is wrong'); sys.exit(2)") as made:
        assert await asyncio.wait_for(made.failed, PATIENCE_S) == "OVATION_X is wrong"


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """It is tried again, and the row says why."""
    program = Program(name="nothing", command=["/nowhere/program"], environment={})
    made = Supervised(program, tmp_path / "log", lambda: None)
    made.start()
    await eventually(lambda: made.row.restarts >= 1)
    assert "ended with 127" in made.row.note
    await made.stop(5)


async def test_one_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    """After its patience is over; also when it was stopped by somebody before."""
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {TELLS}{WAITS}"
    async with supervised(tmp_path, f"{deaf}; {WAITS}") as made:
        await asyncio.wait_for(made.ready.wait(), PATIENCE_S)
        pid = made.row.pid
        assert pid in (family := descendants(os.getpid()))
        stop(pid)
        await made.stop(0.2)
        assert alive({pid: family[pid]}) == []
        assert made.row.state == "stopped"


async def test_its_log_is_kept_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it prints is in its log file; above the bound the file is turned over, and one older one is kept."""
    monkeypatch.setattr(child, "MAX_LOG", 100_000)
    noisy = "for n in range(40_000): print(f'line {n}')\n" + TELLS + WAITS
    async with supervised(tmp_path, noisy) as made:
        await asyncio.wait_for(made.ready.wait(), PATIENCE_S)
        await eventually(lambda: "line 39999\n" in (tmp_path / "child.log").read_text() + _older(tmp_path))
        sizes = await asyncio.to_thread(lambda: {path.name: path.stat().st_size for path in tmp_path.iterdir()})
        assert sizes.keys() == {"child.log", "child.log.1"}
        assert sum(sizes.values()) < 2 * (100_000 + 65536)


def _older(folder: Path) -> str:
    older = folder / "child.log.1"
    return older.read_text() if older.exists() else ""


async def test_a_restart_waits_for_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM, and at once again, whatever the backoff; it returns when the new one is ready. A deaf one is killed."""
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_S", 60.0)
    async with supervised(tmp_path, TELLS + WAITS) as made:
        await asyncio.wait_for(made.ready.wait(), PATIENCE_S)
        first = made.row.pid
        await asyncio.wait_for(made.restart(10), PATIENCE_S)
        assert (made.row.state, made.row.restarts) == ("ready", 1)
        assert made.row.pid not in (None, first)
        assert made.ready.is_set()
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {TELLS}{WAITS}"
    async with supervised(tmp_path, f"{deaf}; {WAITS}") as made:
        await asyncio.wait_for(made.ready.wait(), PATIENCE_S)
        await asyncio.wait_for(made.restart(0.2), PATIENCE_S)
        assert (made.row.state, made.row.restarts) == ("ready", 1)


async def test_a_restart_that_never_becomes_ready_can_be_stopped(tmp_path: Path) -> None:
    """The one who restarts is let go when everything ends."""
    again = f"import os, signal\nif os.path.exists({str(tmp_path / 'seen')!r}): signal.pause()\n"
    once = f"{again}open({str(tmp_path / 'seen')!r}, 'w').close()\n{TELLS}{WAITS}"
    async with supervised(tmp_path, once) as made:
        await asyncio.wait_for(made.ready.wait(), PATIENCE_S)
        restarting = asyncio.create_task(made.restart(10))
        await eventually(lambda: made.row.restarts == 1 and made.row.pid is not None)
        assert not restarting.done()
        await made.stop(10)
        await asyncio.wait_for(restarting, PATIENCE_S)
