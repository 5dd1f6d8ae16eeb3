"""Lines of a program that has a form of its own, told as JSON like everybody's. Pure."""

import re
from datetime import UTC, datetime

import orjson

from infra.telemetry.logs import redact

#: nats-server's: `[pid] 2026/11/21 21:08:49.117509 [INF] Starting nats-server`.
_LINE = re.compile(r"\[\d+\] \d{4}/\d\d/\d\d [\d:.]+ \[([A-Z]{3})\] (.*)")
_LEVELS = {"TRC": "debug", "DBG": "debug", "WRN": "warning", "ERR": "error", "FTL": "error"}
#: A line that does not end is told in pieces.
MOST = 64 * 1024


class Retold:
    """Takes what one process prints."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._rest = b""

    def take(self, chunk: bytes) -> bytes:
        """The lines that *chunk* completes, as JSON."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MOST:
            lines, self._rest = [*lines, self._rest], b""
        return b"".join(self._told(line.decode("utf-8", "replace").strip()) for line in lines if line.strip())

    def _told(self, line: str) -> bytes:
        match = _LINE.fullmatch(line)
        level, event = (_LEVELS.get(match[1], "info"), match[2].strip()) if match else ("info", line)
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        told = {"event": redact(event), "process": self._process, "level": level, "timestamp": now}
        return orjson.dumps(told) + b"\n"
