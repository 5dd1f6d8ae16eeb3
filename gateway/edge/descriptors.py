"""How many connections this process can hold at all: each one is a descriptor, and the system bounds those."""

import fcntl
import os
import resource

import msgspec

from infra.settings import Settings
from infra.telemetry import logs

log = logs.get(__name__)

#: For the broker, the store, files being served, probes: what is open beside the connections, with room to spare.
RESERVED = 128
#: What is asked for at most: the kernel's own bound for a process where nobody raised it (fs.nr_open).
MOST = 1024 * 1024
#: Of what is left when not everything fits, ordinary connections get one in so many: they come and go.
SHARE = 5


def fitted(settings: Settings) -> Settings:
    """Raise the soft bound to the hard one, bound viewers and connections by what the system allows, and have room for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    descriptors = MOST if soft == resource.RLIM_INFINITY else soft
    viewers, connections = fit(settings.max_viewers, settings.max_connections, descriptors)
    if (viewers, connections) != (settings.max_viewers, settings.max_connections):
        log.warning("bounded by descriptors", descriptors=descriptors, viewers=viewers, connections=connections)
    _make_room(min(RESERVED + viewers + connections * 3 // 2, descriptors))
    return msgspec.structs.replace(settings, max_viewers=viewers, max_connections=connections)


def fit(viewers: int, connections: int, descriptors: int) -> tuple[int, int]:
    """The viewers and the ordinary connections that *descriptors* suffice for, at most those that are asked for.

    Ordinary connections may pass their bound by half, to be told so (`protocol.SLACK`).
    """
    left = max(descriptors - RESERVED, 16)
    if viewers + connections * 3 // 2 <= left:
        return viewers, connections
    fewer = min(connections, left // SHARE)
    return max(1, min(viewers, left - fewer * 3 // 2)), max(1, fewer)


def _make_room(descriptors: int) -> None:
    """Have the kernel's table of this process hold so many: 8 bytes each, which it keeps.

    It doubles the table when that is full, and in a process of several threads waits for all of the machine's readers with
    each doubling: up to 15 ms in which nobody is served, seven times among the first 5,000 of a storm.
    """
    try:
        own = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.close(fcntl.fcntl(own, fcntl.F_DUPFD_CLOEXEC, descriptors - 1))
        finally:
            os.close(own)
    except OSError as error:
        log.warning("no room for all descriptors yet", descriptors=descriptors, cause=error.strerror)
