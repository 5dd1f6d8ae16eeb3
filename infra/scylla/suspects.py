"""Which node is asked first: a replica, and none that was just too slow for somebody else to have answered before it."""

import time
from collections.abc import Callable, Iterator

from cassandra.cluster import ResponseFuture
from cassandra.policies import TokenAwarePolicy
from cassandra.pool import Host

#: A node that was overtaken is asked last for so long; then one request finds out. Its heartbeats take it out meanwhile.
SUSPECT_S = 2.0
#: How often a plan has each node.
ROUNDS = 2


class SuspectsLast(TokenAwarePolicy):  # type: ignore[misc]  # the driver has no types
    """Replicas first, suspects last; none is left out, so a cluster of which all are slow is asked as ever."""

    def __init__(self, nodes: object, clock: Callable[[], float] = time.monotonic) -> None:
        """*nodes* is the driver's policy that says which there are; *clock* in seconds."""
        super().__init__(nodes)
        self._clock = clock
        #: Until when; as many as there are nodes. Written by any thread, whole entries at a time.
        self._until: dict[Host, float] = {}

    def make_query_plan(self, working_keyspace: str | None = None, query: object = None) -> Iterator[Host]:
        """All nodes, in the order they are asked; then all again.

        Second questions use a plan up: without another round, the first node that refused would end a request that others
        are still working on.
        """
        plan = list(super().make_query_plan(working_keyspace, query))
        if self._until:
            now = self._clock()
            plan.sort(key=lambda host: self._until.get(host, 0.0) > now)
        return iter(plan * ROUNDS)

    def learn(self, request: ResponseFuture, error: BaseException | None) -> None:
        """See who has answered *request*: whoever was asked before was overtaken, or refused."""
        asked: list[Host] = request.attempted_hosts
        if error is None and len(asked) == 1:
            # Somebody found out: it answers again.
            self._until.pop(asked[0], None)
            return
        until = self._clock() + SUSPECT_S
        for host in asked:
            if error is None and host == request.coordinator_host:
                break
            self._until[host] = until
