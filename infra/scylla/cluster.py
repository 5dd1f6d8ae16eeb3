"""The driver's view of the cluster: which node is asked, how long it is waited for, and when another is asked as well.

A node that dies is noticed at once, by its broken connections. One that hangs is noticed by its missing heartbeats, some 4 s
later; until then each request that it was sent waits for a second node's answer, and the node is asked last from the
first of these on (`suspects.py`). So one of three nodes may hang and reads and writes go on.
"""

from functools import lru_cache
from typing import Any

from cassandra import ConsistencyLevel, UnresolvableContactPoints
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import ConstantReconnectionPolicy, ConstantSpeculativeExecutionPolicy, DCAwareRoundRobinPolicy
from cassandra.query import named_tuple_factory

from infra.errors import Unavailable
from infra.scylla.address import Address
from infra.scylla.notices import Notices, quieten
from infra.scylla.retries import AskAnother
from infra.scylla.suspects import SuspectsLast

#: ScyllaDB speaks 4; so both databases take the same path.
PROTOCOL = 4
REQUEST_S = 3.0
#: A handshake is two round trips: so a cluster whose answers come 2 s late is still connected to.
CONNECT_S = 5.0
#: A node that hangs is noticed by its missing heartbeats, and left alone until it answers again. With less patience a pause of
#: a garbage collector would take it out, and nothing would be archived where answers come 2 s late.
HEARTBEAT_S = 1.0
HEARTBEAT_PATIENCE_S = 3.5
RECONNECT_S = 0.5
#: A read that has taken so long is asked of another node as well, at most this many; a write later, since it costs every node.
SPECULATE_S = 0.1
SPECULATE_WRITE_S = 0.5
SPECULATIONS = 2
READ, WRITE = "read", "write"
#: Shapes of rows that are known: there are as many as statements.
SHAPES = 512
UNKNOWN_RETRY_S = 5


def cluster_of(address: Address) -> Cluster:
    """The driver's view of the cluster, not connected yet. Blocks while names are looked up.

    Raises:
        Unavailable: none of the hosts' names is known.
        BadSettings: a certificate's file cannot be read.
    """
    quieten()
    nodes = SuspectsLast(DCAwareRoundRobinPolicy(address.dc))

    def profile(consistency: int, speculate_s: float, **more: object) -> ExecutionProfile:
        return ExecutionProfile(
            nodes,
            AskAnother(),
            consistency_level=consistency,
            serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
            request_timeout=REQUEST_S,
            speculative_execution_policy=ConstantSpeculativeExecutionPolicy(speculate_s, SPECULATIONS),
            **more,
        )

    try:
        cluster = Cluster(
            list(address.hosts),
            port=address.port,
            protocol_version=PROTOCOL,
            execution_profiles={
                # Migrations: their reads may not ask for what writes do.
                EXEC_PROFILE_DEFAULT: profile(ConsistencyLevel.LOCAL_QUORUM, SPECULATE_WRITE_S),
                WRITE: profile(_written(address), SPECULATE_WRITE_S),
                READ: profile(ConsistencyLevel.LOCAL_QUORUM, SPECULATE_S, row_factory=_rows),
            },
            auth_provider=PlainTextAuthProvider(address.user, address.password) if address.user else None,
            ssl_context=address.ssl_context(),
            connect_timeout=CONNECT_S,
            control_connection_timeout=CONNECT_S,
            idle_heartbeat_interval=HEARTBEAT_S,
            idle_heartbeat_timeout=HEARTBEAT_PATIENCE_S,
            reconnection_policy=ConstantReconnectionPolicy(RECONNECT_S, None),
            # The others learn a statement when they are first asked it: one that hangs would hold up its preparing for 10 s.
            prepare_on_all_hosts=False,
        )
    except UnresolvableContactPoints as error:
        msg = f"no address is known of {', '.join(address.hosts)}: check OVATION_STORE_URL or OVATION_SCYLLA_CONTACT_POINTS"
        raise Unavailable(msg, UNKNOWN_RETRY_S) from error
    cluster.register_listener(Notices(str(address)))
    return cluster


def _written(address: Address) -> int:
    """What a write waits for: a quorum of the data center, or of each one.

    What has been archived through is believed in all of them, so that a data center must not learn of it before it has the
    items: the database carries writes to the others in no order, and after a cut the mark may be there minutes before them.
    """
    return int(ConsistencyLevel.EACH_QUORUM if len(address.regions) > 1 else ConsistencyLevel.LOCAL_QUORUM)


def suspects_of(cluster: Cluster) -> SuspectsLast:
    """Who chooses the nodes for a cluster of `cluster_of`, to be told of what they answered."""
    chooser: SuspectsLast = cluster.profile_manager.profiles[EXEC_PROFILE_DEFAULT].load_balancing_policy
    return chooser


def _rows(columns: list[str], rows: list[tuple[Any, ...]]) -> list[Any]:
    """The driver's own rows, without making a class for every answer: that takes 0.3 ms of the event loop's interpreter."""
    make = _shape(tuple(columns))._make
    return [make(row) for row in rows]


@lru_cache(SHAPES)
def _shape(columns: tuple[str, ...]) -> Any:  # noqa: ANN401 - a class that the driver makes
    return type(named_tuple_factory(columns, [(None,) * len(columns)])[0])
