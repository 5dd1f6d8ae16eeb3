"""One Apache Cassandra as a process of ours, in a folder and on ports of its own; tests kill, pause and start it again.

The jars have no `bin/cassandra` and no configuration: the command line and the file below are all it runs with. A node is
alone, or one of a ring (`cassandraring.py`).
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
from dataclasses import dataclass
from pathlib import Path

from scripts.cassandra import VERSION, installed
from tests.ports import free_port
from tests.stopping import stop

HEAP_MIB = 320
#: 4-6 s in quiet, 15 s from a cold disk; two cores that compile and test meanwhile make it longer.
START_S = 120.0
STOP_S = 15.0
PR_SET_PDEATHSIG = 1
#: OPTIONS in version 4 of the protocol; any node that serves CQL answers SUPPORTED (6).
OPTIONS = struct.pack(">BBhBI", 4, 0, 0, 5, 0)
SUPPORTED = 6
_libc = ctypes.CDLL(None)

#: Rows that wait for their file are kept off the heap: of 256 MiB they had 50, were written out every 10,000 comments, and the
#: compaction of those files was a third of the node's CPU.
YAML = """cluster_name: ovation-tests
num_tokens: 1
initial_token: {token}
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
seed_provider: [{{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{{seeds: "{seeds}"}}]}}]
listen_address: {host}
rpc_address: {host}
native_transport_port: {port}
storage_port: {storage}
endpoint_snitch: GossipingPropertyFileSnitch
auto_bootstrap: false
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 128MiB
data_file_directories: [{run}/data]
commitlog_directory: {run}/commitlog
saved_caches_directory: {run}/caches
hints_directory: {run}/hints
cdc_raw_directory: {run}/cdc
memtable: {{configurations: {{default: {{class_name: TrieMemtable}}}}}}
memtable_allocation_type: offheap_objects
memtable_heap_space: {on_heap}MiB
memtable_offheap_space: {off_heap}MiB
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


@dataclass(frozen=True)
class Place:
    """Where a node is, alone or in a ring: its address and ports, whom it asks for the others, and where its share begins."""

    host: str
    port: int
    storage: int
    seeds: tuple[str, ...]
    token: int = -(2**63)
    heap_mib: int = HEAP_MIB
    #: How long a node that starts listens for others first; alone there are none.
    ring_delay_ms: int = 0
    #: Whether it has a share of the cores of its own, where sessions are scheduled as groups.
    apart: bool = False
    #: Its data center.
    center: str = "dc1"

    @classmethod
    def alone(cls) -> "Place":
        """On ports that were free a moment ago."""
        return cls("127.0.0.1", free_port(), free_port(), ("127.0.0.1",))


class CassandraNode:
    """One node, its data in *folder*; it ends with the process that started it."""

    def __init__(self, folder: Path, place: Place | None = None) -> None:
        """Alone, unless it has a *place* in a ring."""
        self.folder = folder
        self.log = folder / "cassandra.log"
        self.place = place or Place.alone()
        self.host, self.port = self.place.host, self.place.port
        self.what = f"Apache Cassandra {VERSION}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "CassandraNode":
        """Start it, or start it again on the same port and data; returns when it answers."""
        return self.begin().await_answer()

    def begin(self) -> "CassandraNode":
        """Start it, and do not wait: `await_answer` does."""
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
                start_new_session=self.place.apart,
            )
        return self

    def crash(self) -> None:
        """Kill -9, and wait until it is gone; its data stays, and `start` begins with it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def kill(self) -> None:
        """Kill -9, and wait until it is gone; its data goes too, since a run's folder is kept for days."""
        self.crash()
        shutil.rmtree(self.folder / "run", ignore_errors=True)

    def pause(self) -> None:
        """SIGSTOP: its sockets stay open and nothing answers."""
        assert self.process is not None
        stop(self.process.pid)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def _configure(self) -> None:
        place = self.place
        seeds = ",".join(f"{host}:{place.storage}" for host in place.seeds)
        values = {"run": self.folder / "run", "seeds": seeds, "on_heap": place.heap_mib // 5, "off_heap": place.heap_mib // 2}
        own = YAML.format(host=place.host, port=place.port, storage=place.storage, token=place.token, **values)
        (self.folder / "cassandra.yaml").write_text(own)
        (self.folder / "logback.xml").write_text(LOGBACK)
        (self.folder / "cassandra-rackdc.properties").write_text(f"dc={place.center}\nrack=r1\n")

    def _command(self, jars: Path, java: str) -> list[str]:
        conf, heap = self.folder, self.place.heap_mib
        return [
            java, f"-Xms{heap}m", f"-Xmx{heap}m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            # Its classes fill 60 MiB: from the usual 21 on it stops three times to see what can go.
            "-XX:MetaspaceSize=96m",
            f"-Dcassandra.config=file://{conf}/cassandra.yaml", f"-Dcassandra.storagedir={conf}/run",
            f"-Dlogback.configurationFile={conf}/logback.xml",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0", f"-Dcassandra.ring_delay_ms={self.place.ring_delay_ms}",
            "-Dcassandra.superuser_setup_delay_ms=0", "-Dcassandra.shutdown_announce_in_ms=0", "-Dcassandra-foreground=yes",
            "-Djdk.attach.allowAttachSelf=true", "-Dio.netty.tryReflectionSetAccessible=true",
            *(word for name in EXPORTS for word in ("--add-exports", f"{name}=ALL-UNNAMED")),
            *(word for name in OPENS for word in ("--add-opens", f"{name}=ALL-UNNAMED")),
            "-cp", f"{conf}:{jars}/*", "org.apache.cassandra.service.CassandraDaemon",
        ]  # fmt: skip

    def await_answer(self) -> "CassandraNode":
        """Wait until it answers.

        Raises:
            AssertionError: it ended, or took longer than `START_S`; says its last words.
        """
        self._await_answer()
        return self

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


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
