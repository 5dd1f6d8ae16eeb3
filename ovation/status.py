"""The states of a running `up`: written on every change, read by `ovation status`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from ovation.supervisor import Row

_SHOWN = ("name", "pid", "state", "url", "ops_url", "restarts")


def write(folder: Path, pid: int, rows: Sequence[Row]) -> None:
    """Replace the status file of the data directory *folder*, in one step."""
    path = folder / "run" / "status.json"
    temporary = path.with_suffix(".new")
    shown = [{name: value for name, value in asdict(row).items() if name in _SHOWN} for row in rows]
    temporary.write_bytes(orjson.dumps({"pid": pid, "life": _life(pid), "processes": shown}))
    temporary.replace(path)


def read(folder: Path) -> list[dict[str, Any]]:
    """The rows; all `stopped` when the `up` that wrote them is gone, none when there never was one."""
    up, rows = _read(folder)
    return rows if up else [{**row, "pid": None, "state": "stopped"} for row in rows]


def pids(folder: Path) -> set[int]:
    """The processes of the `up` that runs from *folder*, its own among them; none when none runs."""
    up, rows = _read(folder)
    return {up, *(row["pid"] for row in rows if row["pid"])} if up else set()


def _read(folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """The process id of `up`, 0 when it is gone, and the rows as they were written."""
    try:
        found = orjson.loads((folder / "run" / "status.json").read_bytes())
        rows: list[dict[str, Any]] = found["processes"]
        up = int(found["pid"])
        return (up if found["life"] and found["life"] == _life(up) else 0), rows
    except (OSError, ValueError, KeyError, TypeError):
        return 0, []


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    if not rows:
        return "nothing runs from this data directory; start it with: ovation up\n"
    lines = [f"{'name':<16} {'state':<9} {'pid':>7} {'restarts':>8}  address"]
    lines += [f"{row['name']:<16} {row['state']:<9} {row['pid'] or '-':>7} {row['restarts']:>8}  {row['url']}" for row in rows]
    return "\n".join(lines) + "\n"


def _life(pid: int) -> str:
    """When the process began, which tells it from a later one with the same id; nothing once it is gone, reaped or not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
