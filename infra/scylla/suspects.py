"""Which node is asked first: a replica, and none that was just too slow for somebody else to have answered before it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from cassandra.cluster import ResponseFuture
from cassandra.policies import TokenAwarePolicy
from cassandra.pool import Host

#: A node that was overtaken is asked last for so long; then one request finds out. Its heartbeats take it out meanwhile.
SUSPECT_S = 2.0


class SuspectsLast(TokenAwarePolicy):  # type: ignore[misc]  # the driver has no types
    """Replicas first, suspects last; none is left out, so a cluster of which all are slow is asked as ever."""

    def __init__(self, nodes: object, clock: Callable[[], float] = time.monotonic) -> None:
        """*nodes* is the driver's policy that says which there are; *clock* in seconds."""
        super().__init__(nodes)
        self._clock = clock
        #: Until when; as many as there are nodes. Written by any thread, whole entries at a time.
        self._until: dict[Host, float] = {}

    def make_query_plan(self, working_keyspace: str | None = None, query: object = None) -> Iterator[Host]:
        """All nodes, in the order they are asked."""
        plan = super().make_query_plan(working_keyspace, query)
        if not self._until:
            yield from plan
            return
        now, last = self._clock(), []
        for host in plan:
            if self._until.get(host, 0.0) > now:
                last.append(host)
            else:
                yield host
        yield from last

    def learn(self, answered: ResponseFuture) -> None:
        """See who answered: those that were asked before it were overtaken."""
        asked: list[Any] = answered.attempted_hosts
        if len(asked) < 2:
            if self._until and answered.coordinator_host is not None:
                self._until.pop(answered.coordinator_host, None)
            return
        for host in asked:
            if host == answered.coordinator_host:
                break
            self._until[host] = self._clock() + SUSPECT_S
