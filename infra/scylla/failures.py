"""The driver's errors, translated. All of them may be tried again: every write is idempotent, and our statements are fixed.

A refusal that no retry mends, a missing table for instance, is `Unavailable` as well: an archive that took it for a poison
message would dead-letter comments because somebody has dropped a keyspace. Its words name the cause until it is mended.
"""

import re

from cassandra import DriverException, InvalidRequest, OperationTimedOut, RequestValidationException
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionBusy, ConnectionException

from infra.errors import Refused, Unavailable
from infra.scylla.refusals import refusal

#: What the driver raises: its own, and the answers of servers that it passes on as they are.
DRIVER = (DriverException, NoHostAvailable, ConnectionException, ConnectionBusy, OSError)
REFUSED_RETRY_S = 5
#: Words by which a server refuses values for what they are. Any other refusal is taken for the server's own: rights, a
#: missing table, a disk that is nearly full. Waiting for a mistaken one costs time, giving up for one costs comments.
_OF_VALUES = re.compile(r"key length|longer than|too large|larger than|may not be empty|oversized", re.IGNORECASE)


def is_drivers(error: BaseException) -> bool:
    """Whether *error* comes from the driver or from the cluster, and not from a mistake of ours in calling it."""
    return isinstance(error, DRIVER) or type(error).__module__.startswith("cassandra.")


def unavailable(where: object, error: BaseException) -> Unavailable:
    """What *error* means to whoever asked."""
    # A session that could open no connection at all has a list of addresses there.
    if isinstance(error, NoHostAvailable) and isinstance(error.errors, dict):
        # One of the hosts' own words says more than that none of them served.
        said = error.errors.values() if isinstance(error.errors, dict) else ()
        inner = next((each for each in said if is_drivers(each)), error)
        if inner is not error:
            return unavailable(where, inner)
    if isinstance(error, InvalidRequest) and _OF_VALUES.search(str(error)):
        return Refused(f"the store {where} does not take it: {error}")
    if refused := refusal(error, tls=getattr(where, "tls", False)):
        return Unavailable(f"the store {where} {refused}", REFUSED_RETRY_S)
    if isinstance(error, RequestValidationException):
        return Unavailable(f"the store {where} refuses: {error}; does it have this version's schema?", REFUSED_RETRY_S)
    if isinstance(error, OperationTimedOut):
        return Unavailable(f"the store {where} did not answer in time")
    return Unavailable(f"the store {where} is away: {type(error).__name__}: {error}")
