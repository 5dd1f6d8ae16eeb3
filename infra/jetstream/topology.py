"""The files of `nats/`, compared with and applied to a server. Code never creates a log with settings of its own.

A file is the JSON of a log's (or consumer's) configuration as nats-server takes it, with three liberties: durations are
written `24h`, `5m`, `30s` or `100ms`; a string that is one `{name}` stands for that setting's value; and a file whose name
holds `{shard}` stands for one log per shard. `first_seq` is used at creation alone.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from infra.clock import Clock
from infra.errors import BadSettings, Unavailable
from infra.jetstream.connection import Connection
from infra.settings import Settings

_UNITS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"([0-9]+)(ms|s|m|h)")
_DURATIONS = {"max_age", "duplicate_window", "ack_wait", "inactive_threshold", "subject_delete_marker_ttl"}
_CREATION_ONLY = {"first_seq"}
#: A token leaves its limit's window this much after its time, so that a post that took a moment longer to be stored than
#: the one it replaces cannot make a window of that length contain one more. Of a post that took longer than this the token is
#: renewed (`Limits.renew`).
LIMIT_MARGIN_MS = 250


class Wanted(Struct, frozen=True):
    """One log or consumer as the files want it. `log` is the log's own name, or that of the consumer's log."""

    kind: Literal["log", "consumer"]
    log: str
    name: str
    config: dict[str, Any]


class Difference(Struct, frozen=True):
    """What applying would do: `create`, or `update` with (field, present, wanted) of each difference."""

    wanted: Wanted
    action: Literal["create", "update"]
    fields: list[tuple[str, Any, Any]]

    def __str__(self) -> str:
        target = self.wanted.log if self.wanted.kind == "log" else f"{self.wanted.log} > {self.wanted.name}"
        details = "".join(f"\n    {name}: {present!r} -> {wanted!r}" for name, present, wanted in self.fields)
        return f"{self.action} {self.wanted.kind} {target}{details}"


def folder() -> Path:
    """Where the files are: beside this module in an installed wheel, at the root of a checkout."""
    packaged = Path(__file__).parent / "config"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "nats"


def variables(settings: Settings, clock: Clock) -> dict[str, Any]:
    """What the files may name."""
    limits = {
        "user_stream": settings.limit_of("normal"),
        "user_stream_trusted": settings.limit_of("trusted"),
        "user_stream_new": settings.limit_of("new"),
        "user": settings.limit_user,
        "reactions": settings.limit_reactions,
        "grants": settings.limit_grants,
    }
    values: dict[str, Any] = {
        "incarnation": clock.now_ms() // 1000 << 20,
        "replicas": settings.replicas,
        "live_max_age": f"{int(settings.live_max_age_h * 3600)}s",
        "live_max_bytes": settings.live_max_bytes,
        "follows_max_bytes": settings.follows_max_bytes,
    }
    for name, limit in limits.items():
        values[f"limit_{name}_count"] = limit.count
        values[f"limit_{name}_window"] = f"{limit.seconds * 1000 + LIMIT_MARGIN_MS}ms"
        values[f"limit_{name}_duplicates"] = f"{limit.seconds}s"
    return values


def wanted(settings: Settings, clock: Clock, where: Path | None = None) -> list[Wanted]:
    """Read all files, logs before consumers.

    Raises:
        BadSettings: a file is broken; names it.
    """
    where = where or folder()
    found: list[Wanted] = []
    for kind, sub in (("log", "logs"), ("log", "kv"), ("consumer", "consumers")):
        for path in sorted((where / sub).glob("*.json")):
            try:
                found += _expand(path, kind, settings, variables(settings, clock))  # type: ignore[arg-type]  # the tuple's own literals
            except (ValueError, KeyError) as error:
                msg = f"{path}: {error!r}"
                raise BadSettings(msg) from error
    if not found:
        msg = f"no topology files in {where}"
        raise BadSettings(msg)
    return found


def _expand(path: Path, kind: Literal["log", "consumer"], settings: Settings, values: dict[str, Any]) -> Iterator[Wanted]:
    template = json.loads(path.read_text())
    shards = range(settings.shards) if "{shard}" in path.name else [None]
    for shard in shards:
        config = _fill(template, values if shard is None else {**values, "shard": shard})
        if kind == "log":
            yield Wanted("log", config["name"], config["name"], config)
        else:
            log = config.pop("log")
            yield Wanted("consumer", log, config["durable_name"], config)


def _fill(value: Any, values: dict[str, Any], key: str = "") -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {k: _fill(v, values, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(v, values, key) for v in value]
    if isinstance(value, str):
        name = value[1:-1]
        filled = values[name] if value == f"{{{name}}}" else re.sub(r"\{(\w+)\}", lambda m: str(values[m[1]]), value)
        return _nanoseconds(filled) if key in _DURATIONS and isinstance(filled, str) else filled
    return value


def _nanoseconds(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        msg = f"{text!r} is no duration such as 24h, 5m, 30s or 100ms"
        raise ValueError(msg)
    return int(match[1]) * _UNITS[match[2]]


class Topology:
    """Compares and applies."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def diff(self, target: list[Wanted]) -> list[Difference]:
        """What differs, without touching anything. What the server has beyond the files is left alone.

        Raises:
            Unavailable: JetStream does not answer.
        """
        found = []
        for want in target:
            present = await self._present(want)
            if present is None:
                found.append(Difference(want, "create", []))
            elif fields := list(_differences(want.config, present)):
                found.append(Difference(want, "update", fields))
        return found

    async def apply(self, target: list[Wanted]) -> list[Difference]:
        """Make the server as the files want it; applied twice, the second time does nothing.

        Raises:
            Unavailable: JetStream does not answer, or refuses a change; names the log and the reason.
        """
        done = await self.diff(target)
        for difference in done:
            await self._apply(difference)
        return done

    async def _apply(self, difference: Difference) -> None:
        want = difference.wanted
        if want.kind == "consumer":
            body: dict[str, Any] = {"stream_name": want.log, "config": want.config}
            await self._call(f"CONSUMER.DURABLE.CREATE.{want.log}.{want.name}", body)
        elif difference.action == "create":
            await self._call(f"STREAM.CREATE.{want.log}", want.config)
        else:
            present = await self._present(want) or {}
            changed = {k: v for k, v in want.config.items() if k not in _CREATION_ONLY}
            await self._call(f"STREAM.UPDATE.{want.log}", {**present, **changed})

    async def _present(self, want: Wanted) -> dict[str, Any] | None:
        call = f"STREAM.INFO.{want.log}" if want.kind == "log" else f"CONSUMER.INFO.{want.log}.{want.name}"
        answer = await self._call(call, {}, missing_ok=True)
        return answer["config"] if answer else None

    async def _call(self, call: str, body: dict[str, Any], *, missing_ok: bool = False) -> dict[str, Any] | None:
        reply = await self._connection.request(f"$JS.API.{call}", json.dumps(body).encode(), timeout_s=10.0)
        answer: dict[str, Any] = json.loads(reply.data)
        error = answer.get("error")
        if error is None:
            return answer
        if missing_ok and error.get("code") == 404:
            return None
        msg = f"{call}: {error.get('description', error)}"
        if "storage resources" in msg:
            # JetStream reserves what a log may hold, out of three quarters of the free space.
            msg += "; free disk space under OVATION_DATA_DIR, or lower OVATION_LIVE_MAX_BYTES"
        raise Unavailable(msg)


def _differences(want: dict[str, Any], present: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key, value in want.items():
        if key in _CREATION_ONLY:
            continue
        have = present.get(key, _zero(value))
        if isinstance(value, dict) and isinstance(have, dict):
            nested = _differences(value, have)
            yield from ((f"{key}.{name}", a, b) for name, a, b in nested)
        elif have != value:
            yield key, have, value


def _zero(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The server leaves out what is zero."""
    return type(value)() if isinstance(value, (bool, int, str, list, dict)) else None


async def wait_ready(connection: Connection, wait_s: float = 30.0) -> None:
    """Wait until JetStream answers: after a start it first recovers its logs.

    Raises:
        Unavailable: not within *wait_s* seconds.
    """
    deadline = connection.clock.monotonic() + wait_s
    while True:
        try:
            reply = await connection.request("$JS.API.INFO", b"")
        except Unavailable:
            if connection.clock.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
            continue
        if "error" not in json.loads(reply.data):
            return
        if connection.clock.monotonic() > deadline:
            msg = f"JetStream is not enabled: {reply.data.decode()[:200]}"
            raise Unavailable(msg)
        await asyncio.sleep(0.1)
