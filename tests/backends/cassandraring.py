"""Apache Cassandra nodes on 127.x.x.1, 2, ..., each with a copy of everything; tests kill, pause and start them again."""

import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable

from infra.scylla import Address
from infra.scylla.cluster import cluster_of
from scripts.cassandra import VERSION
from tests.backends.cassandranode import CassandraNode, Place
from tests.ports import free_port

#: The data center of each node, unless told.
ONE_CENTER = ("dc1", "dc1", "dc1")
HEAP_MIB = 256
#: What a node that starts on a new ring waits for the others' words; less, and on two busy cores it finds nobody.
RING_DELAY_MS = 5000
START_S = 180.0
_STATES = "SELECT status_with_port FROM system_views.gossip_info"


class CassandraRing:
    """The nodes, their data in *folder*; they end with the process that started them."""

    def __init__(
        self, folder: Path, heap_mib: int = HEAP_MIB, *, apart: bool = False, centers: Sequence[str] = ONE_CENTER
    ) -> None:
        """Nothing is started yet; *centers*: the data center of each. Nodes that are *apart* have a share of the cores each.

        For benchmarks: the forty threads of a node that starts take what the others need to answer within 2 s. Among tests
        they would take it from the encoders and browsers of those that run meanwhile.
        """
        network = f"127.{os.getpid() >> 8 & 0x7F | 0x80}.{os.getpid() & 0xFF}"
        self.size, self._centers = len(centers), centers
        hosts = tuple(f"{network}.{number + 1}" for number in range(self.size))
        port, storage = free_port(*hosts), free_port(*hosts)
        # Equal shares, told beforehand: a node that has to find its own takes the ring's time.
        tokens = [-(2**63) + number * (2**64 // self.size) for number in range(self.size)]
        self.nodes = [
            CassandraNode(
                folder / f"node-{n}",
                Place(host, port, storage, hosts, tokens[n], heap_mib, RING_DELAY_MS, apart, centers[n]),
            )
            for n, host in enumerate(hosts)
        ]
        self.hosts, self.port = hosts, port
        self.what = f"Apache Cassandra {VERSION}, {self.size} nodes"

    @property
    def url(self) -> str:
        """What OVATION_STORE_URL begins with; the keyspace follows."""
        return f"scylla://{','.join(f'{host}:{self.port}' for host in self.hosts)}"

    def address(self, keyspace: str) -> Address:
        """*keyspace*, a copy on each node; of several data centers, as a process in the first one reaches it."""
        copies = Counter(self._centers)
        regions, center = (dict(copies), self._centers[0]) if len(copies) > 1 else ({}, "")
        return Address(
            hosts=self.hosts,
            port=self.port,
            keyspace=keyspace,
            create_keyspace=True,
            replication=self.size,
            regions=regions,
            dc=center,
        )

    def start(self) -> "CassandraRing":
        """Start all; returns when each of them knows of all the others, which is later than when a client does."""
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            node.await_answer()
        self.agree()
        return self

    def agree(self) -> None:
        """Wait until each node sees all of them up: before, one of them refuses tables that another has just made."""
        for center in sorted(set(self._centers)):
            # Who is in one data center has no connections into another.
            hosts = [host for host, its in zip(self.hosts, self._centers, strict=True) if its == center]
            self._agree(msgspec.structs.replace(self.address("none"), dc=center), hosts)

    def _agree(self, address: Address, hosts: Sequence[str]) -> None:
        deadline = time.monotonic() + START_S
        cluster = cluster_of(address)
        try:
            session = cluster.connect()
            waiting = list(hosts)
            while waiting:
                for host in list(waiting):
                    known = next((each for each in cluster.metadata.all_hosts() if each.address == host), None)
                    try:
                        rows = session.execute(_STATES, host=known) if known is not None else []
                    except (DriverException, NoHostAvailable):
                        continue
                    if sum(str(row.status_with_port).startswith("NORMAL") for row in rows) == self.size:
                        waiting.remove(host)
                assert time.monotonic() < deadline, f"{waiting} do not see all of the ring"
                threading.Event().wait(0.1)
        finally:
            cluster.shutdown()

    def kill(self) -> None:
        """Kill -9 all of them; their data goes too."""
        for node in self.nodes:
            node.kill()
