"""One Apache Cassandra as a process of ours, in a folder and on ports of its own; tests kill, pause and start it again.

The jars have no `bin/cassandra` and no configuration: the command line and the file below are all it runs with.
"""

import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from scripts.cassandra import VERSION, installed

HEAP_MIB = 320
#: 4-6 s in quiet, 15 s from a cold disk; two cores that compile and test meanwhile make it longer.
START_S = 120.0
STOP_S = 15.0
PR_SET_PDEATHSIG = 1
#: OPTIONS in version 4 of the protocol; any node that serves CQL answers SUPPORTED (6).
OPTIONS = struct.pack(">BBhBI", 4, 0, 0, 5, 0)
SUPPORTED = 6
_libc = ctypes.CDLL(None)

YAML = """cluster_name: ovation-tests
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
seed_provider: [{{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{{seeds: "127.0.0.1:{storage}"}}]}}]
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
native_transport_port: {port}
storage_port: {storage}
endpoint_snitch: GossipingPropertyFileSnitch
auto_bootstrap: false
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 256MiB
data_file_directories: [{run}/data]
commitlog_directory: {run}/commitlog
saved_caches_directory: {run}/caches
hints_directory: {run}/hints
cdc_raw_directory: {run}/cdc
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
file_cache_size: 32MiB
networking_cache_size: 32MiB
key_cache_size: 0MiB
auto_snapshot: false
batch_size_warn_threshold: 5KiB
batch_size_fail_threshold: 50KiB
"""
LOGBACK = """<configuration><appender name="out" class="ch.qos.logback.core.ConsoleAppender"><encoder>
<pattern>%-5level %date{ISO8601} %logger{20} %msg%n</pattern></encoder></appender>
<root level="WARN"><appender-ref ref="out"/></root></configuration>
"""
EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.base/java.lang.ref",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
)
OPENS = (
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/sun.nio.ch",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
)


class CassandraNode:
    """One node, its data in *folder*; it ends with the process that started it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "cassandra.log"
        self.host = "127.0.0.1"
        self.port, self._storage = _free_port(), _free_port()
        self.what = f"Apache Cassandra {VERSION}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "CassandraNode":
        """Start it, or start it again on the same port and data; returns when it answers."""
        jars, java = installed()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configure()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command(jars, java),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one libc call
            )
        self._await_answer()
        return self

    def kill(self) -> None:
        """Kill -9, and wait until it is gone; its data goes too, since a run's folder is kept for days."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.folder / "run", ignore_errors=True)

    def pause(self) -> None:
        """SIGSTOP: its sockets stay open and nothing answers."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def _configure(self) -> None:
        values = {"run": self.folder / "run", "port": self.port, "storage": self._storage}
        (self.folder / "cassandra.yaml").write_text(YAML.format(**values))
        (self.folder / "logback.xml").write_text(LOGBACK)
        (self.folder / "cassandra-rackdc.properties").write_text("dc=dc1\nrack=r1\n")

    def _command(self, jars: Path, java: str) -> list[str]:
        conf = self.folder
        return [
            java, f"-Xms{HEAP_MIB}m", f"-Xmx{HEAP_MIB}m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-Dcassandra.config=file://{conf}/cassandra.yaml", f"-Dcassandra.storagedir={conf}/run",
            f"-Dlogback.configurationFile={conf}/logback.xml",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=0",
            "-Dcassandra.superuser_setup_delay_ms=0", "-Dcassandra.shutdown_announce_in_ms=0", "-Dcassandra-foreground=yes",
            "-Djdk.attach.allowAttachSelf=true", "-Dio.netty.tryReflectionSetAccessible=true",
            *(word for name in EXPORTS for word in ("--add-exports", f"{name}=ALL-UNNAMED")),
            *(word for name in OPENS for word in ("--add-opens", f"{name}=ALL-UNNAMED")),
            "-cp", f"{conf}:{jars}/*", "org.apache.cassandra.service.CassandraDaemon",
        ]  # fmt: skip

    def _await_answer(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            # Our own child has to be alive: somebody else's server on the port would answer as well.
            try:
                code = self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                if _answers(self.host, self.port):
                    return
            else:
                msg = f"Cassandra ended with {code}:\n{self._words()}"
                raise AssertionError(msg)
        self.kill()
        msg = f"Cassandra answered nothing in {START_S} s:\n{self._words()}"
        raise AssertionError(msg)

    def _words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as link:
            link.sendall(OPTIONS)
            header = link.recv(9)
    except OSError:
        return False
    return len(header) == 9 and header[4] == SUPPORTED


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
