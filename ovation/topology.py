"""The topology of nats/, compared with and applied to a server."""

from infra.clock import SystemClock
from infra.jetstream.connection import Connection
from infra.jetstream.topology import Difference, Topology, wait_ready, wanted
from infra.settings import Settings


async def diff(settings: Settings) -> list[Difference]:
    """What differs.

    Raises:
        Unavailable: no server answers.
    """
    return await _with(settings, apply=False)


async def apply(settings: Settings) -> list[Difference]:
    """Apply, and say what was done.

    Raises:
        Unavailable: no server answers, or it refuses.
    """
    return await _with(settings, apply=True)


async def _with(settings: Settings, *, apply: bool) -> list[Difference]:
    clock = SystemClock()
    connection = await Connection(settings.nats_url, "topology", clock).open(wait_s=10.0)
    try:
        await wait_ready(connection)
        topology, target = Topology(connection), wanted(settings, clock)
        return await (topology.apply(target) if apply else topology.diff(target))
    finally:
        await connection.close()
