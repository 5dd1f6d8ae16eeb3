"""Everything on this machine: NATS, gateways, archive and media, in order of readiness, until Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Mapping
from typing import Any

import msgspec

from gateway.auth import Authenticator
from gateway.playback import Playback
from infra import folders, ports, storage
from infra.clock import SystemClock
from infra.errors import BadSettings
from infra.jetstream.connection import Connection
from infra.jetstream.topology import Topology, wait_ready, wanted
from infra.objects.home import open_home
from infra.settings import PREFIX, Settings
from infra.telemetry import logs
from infra.telemetry.ops import OpsServer, Readiness
from ovation import broker, status
from ovation.datadir import DataDir
from ovation.programs import NATS_SERVER
from ovation.screen import Screen
from ovation.supervisor import Program, Row, Supervised
from workers.media.command import check_ffmpeg
from workers.media.rtmp.certificate import Certificate

OVATION = [sys.executable, "-m", "ovation"]
#: On top of the drain period and of the longest wait for an absent broker.
PATIENCE_S = 8.0


def run(settings: Settings, *, demo: bool, verbose: bool) -> int:
    """Run until a signal; the exit code.

    Raises:
        BadSettings: a setting is wrong or a port is taken; nothing was started.
        StoreTooNew: the data directory is of a newer version.
    """
    logs.configure(level="warning", form=settings.log_format, process="up")
    data = DataDir(settings.data_dir)
    data.open()
    return asyncio.run(Up(settings, data, demo=demo, verbose=verbose).run())


class Up:
    """One machine's processes."""

    def __init__(self, settings: Settings, data: DataDir, *, demo: bool, verbose: bool) -> None:
        self._began = time.monotonic()
        self._data = data
        self._demo = demo
        self._echo = verbose or settings.log_level == "debug"
        self._own_nats = not settings.nats_url
        if not NATS_SERVER.exists() and self._own_nats:
            msg = f"{NATS_SERVER} is missing; run ./just setup, or set OVATION_NATS_URL to a server of yours"
            raise BadSettings(msg)
        self._settings = _decided(settings, data)
        self._http = self._claim_ports()
        self._http_port: int = self._http.getsockname()[1]
        self._environment = self._child_environment()
        self._readiness = Readiness()
        self._readiness.expect("processes")
        self._ops = OpsServer(self._readiness, settings.ops_host, settings.ops_port)
        self._broker_ops = broker.BrokerOps(settings.ops_host)
        self._stopping = asyncio.Event()
        self._children: list[Supervised] = []
        self._screen = Screen("Ovation")
        self._rolling: asyncio.Task[None] | None = None
        self._on_terminal = os.isatty(0)

    @property
    def _rows(self) -> list[Row]:
        return [child.row for child in self._children]

    async def run(self) -> int:
        """Start, wait for a signal, drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        await self._ops.start()
        failure = ""
        try:
            failure = await self._until_stopped(self._start())
            if not failure and not self._stopping.is_set():
                failure = await self._until_stopped(self._stopping.wait())
        finally:
            await self._drain()
            await self._ops.stop()
            await self._broker_ops.stop()
            self._screen.close()
        if failure:
            raise BadSettings(failure)
        return 0

    def _stop(self) -> None:
        if self._stopping.is_set():
            for child in self._children:
                child.kill()
            # Gives the terminal its cursor back.
            self._screen.close()
            os._exit(1)
        self._stopping.set()

    def _hang_up(self) -> None:
        """SIGHUP: our terminal was closed, which ends us; otherwise somebody asks for a rolling restart of the gateways."""
        if self._on_terminal and not os.isatty(0):
            self._stop()
        elif self._rolling is None or self._rolling.done():
            self._rolling = asyncio.create_task(self._roll())

    async def _roll(self) -> None:
        """Restart the gateways, each once the one before is ready again: one that does not come back ends it there."""
        for child in [c for c in self._children if c.row.name.startswith("gateway")]:
            await child.ready.wait()
            await child.restart(self._patience)

    @property
    def _patience(self) -> float:
        return self._settings.drain_s + self._settings.publish_wait_s + PATIENCE_S

    async def _until_stopped(self, work: Coroutine[Any, Any, object]) -> str:
        """Run *work* until it ends, a signal comes, or a child says that a setting is wrong: then its words."""
        task: asyncio.Future[object] = asyncio.ensure_future(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not task.done() and not stopping.done():
                failed = [child.failed for child in self._children]
                waiting: set[asyncio.Future[Any]] = {task, stopping, *failed}
                await asyncio.wait(waiting, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
                for refused in failed:
                    if refused.done():
                        return refused.result() or "a process refused its settings; see the logs"
            if task.done():
                task.result()
            return ""
        finally:
            for each in (task, stopping):
                each.cancel()

    async def _start(self) -> None:
        if self._own_nats:
            await self._broker_ops.start()
            port, monitor = self._settings.nats_port, self._broker_ops.monitor
            ops_url, retell = self._broker_ops.url, self._settings.log_format != "text"
            nats = self._add(broker.program(port, monitor, self._data.nats, _bare_environment(), ops_url, retell=retell))
            nats.start()
            await nats.ready.wait()
        await self._apply_topology()
        # Nobody else does it for a cluster; a file is migrated by whoever opens it, and this is as good a moment.
        await storage.migrate(self._settings)
        s = self._settings
        programs = [
            self._program("worker archive"),
            self._program("worker media", url=f"rtmp://{self._shown_host}:{s.rtmp_port}/live"),
        ]
        programs += [
            self._program(f"gateway-{n}", "gateway", "--listen-fd", str(self._http.fileno()), url=self._url)
            for n in range(s.gateways)
        ]
        children = [self._add(program) for program in programs]
        for child in children:
            child.start()
        for child in children:
            await child.ready.wait()
        took = time.monotonic() - self._began
        self._screen.footer(
            f"\n  watch     {self._url}\n  broadcast rtmp://{self._shown_host}:{s.rtmp_port}/live\n"
            f"  ready after {took:.1f} s; Ctrl-C ends it\n",
            self._rows,
        )
        if self._demo:
            self._add(self._program("demo")).start()

    async def _apply_topology(self) -> None:
        clock = SystemClock()
        connection = await Connection(self._settings.nats_url, "up", clock).open()
        try:
            await wait_ready(connection)
            await Topology(connection).apply(wanted(self._settings, clock))
        finally:
            await connection.close()

    async def _drain(self) -> None:
        """The guests first, then who takes from outside, then who writes down, and the log last."""
        if self._rolling is not None:
            self._rolling.cancel()
        # The gateways have it still. Once they let go of it, who comes is refused; kept here, he would wait to be reset.
        self._http.close()
        order = [
            [c for c in self._children if c.row.name == "demo"],
            [c for c in self._children if c.row.name == "worker media" or c.row.name.startswith("gateway")],
            [c for c in self._children if c.row.name == "worker archive"],
            [c for c in self._children if c.row.name == "nats"],
        ]
        for group in order:
            await asyncio.gather(*(child.stop(self._patience) for child in group))
        self._changed()

    def _add(self, program: Program) -> Supervised:
        log = self._data.log / f"{program.name.replace(' ', '-')}.log"
        child = Supervised(program, log, self._changed, echo=self._echo)
        self._children.append(child)
        self._changed()
        return child

    def _changed(self) -> None:
        rows = self._rows
        waiting = [row.name for row in rows if row.state != "ready"]
        if waiting:
            self._readiness.expect("processes", ", ".join(waiting))
        else:
            self._readiness.met("processes")
        with contextlib.suppress(OSError):
            # A full disk must not end what runs.
            status.write(self._data.path, os.getpid(), rows)
        self._screen.show(rows)

    def _program(self, name: str, *command: str, url: str = "") -> Program:
        return Program(
            name=name,
            command=[*OVATION, *(command or name.split())],
            environment=self._environment,
            url=url,
            fds=[self._http.fileno()] if "--listen-fd" in command else [],
        )

    def _claim_ports(self) -> socket.socket:
        s = self._settings
        hosts = [host for part in s.rtmp_host.split(",") if (host := part.strip())]
        claims = {
            "OVATION_HTTP_PORT": ([s.http_host], s.http_port),
            "OVATION_RTMP_PORT": (hosts, s.rtmp_port),
            "OVATION_OPS_PORT": ([s.ops_host], s.ops_port),
        }
        if self._own_nats:
            claims["OVATION_NATS_PORT"] = [broker.HOST], s.nats_port
        if s.rtmps_certificate_file:
            claims["OVATION_RTMPS_PORT"] = hosts, s.rtmps_port
        ports.check_distinct(claims)
        http = ports.listen(s.http_host, s.http_port, "OVATION_HTTP_PORT", both_families=True)
        for variable, (where, port) in claims.items():
            if variable != "OVATION_HTTP_PORT":
                ports.check_any(where, port, variable)
        return http

    def _child_environment(self) -> Mapping[str, str]:
        """Our own environment, with what `up` decided, and a free internal port for each."""
        s = self._settings
        decided = {
            "data_dir": str(s.data_dir),
            "nats_url": s.nats_url,
            "jwt_secret": s.jwt_secret,
            "http_port": str(self._http_port),
            "rtmp_port": str(s.rtmp_port),
            "ops_port": "0",
            "log_format": "json" if s.log_format == "auto" else s.log_format,
        }
        ours = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
        return _bare_environment() | ours | {PREFIX + name.upper(): value for name, value in decided.items()}

    @property
    def _shown_host(self) -> str:
        host = self._settings.http_host
        return "localhost" if host in ("0.0.0.0", "::", "127.0.0.1", "::1") else host  # noqa: S104 - compared, not bound

    @property
    def _url(self) -> str:
        return self._settings.public_url or f"http://{self._shown_host}:{self._http_port}"


def _decided(settings: Settings, data: DataDir) -> Settings:
    """The settings that all processes of this machine share.

    Raises:
        BadSettings: one of them would stop a child; better said before any is started.
    """
    nats_port = settings.nats_port or ports.free()
    decided = msgspec.structs.replace(
        settings,
        data_dir=data.path,
        nats_port=nats_port,
        nats_url=settings.nats_url or f"nats://127.0.0.1:{nats_port}",
        rtmp_port=settings.rtmp_port or ports.free(),
        jwt_secret=settings.jwt_secret or data.secret(),
    )
    storage.check(decided)
    open_home(decided)
    if decided.store_url and not decided.store_is_cluster:
        folders.make(decided.store_path().parent, "OVATION_STORE_URL")
    if decided.media_url:
        folders.make(decided.media_path(), "OVATION_MEDIA_URL")
    if decided.rtmps_certificate_file:
        Certificate.read(decided.rtmps_certificate_file, decided.rtmps_key_file, SystemClock())
    check_ffmpeg(decided.ffmpeg)
    Authenticator(decided, SystemClock())
    Playback(decided, SystemClock())
    return decided


def _bare_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | {"PYTHONUNBUFFERED": "1"}
