"""Which requests are asked of another node when one says that too few others answered it."""

import pytest
from cassandra import ConsistencyLevel, WriteType
from cassandra.cluster import EXEC_PROFILE_DEFAULT
from cassandra.policies import RetryPolicy
from cassandra.query import SimpleStatement

from infra.scylla.address import Address
from infra.scylla.cluster import READ, cluster_of
from infra.scylla.retries import AGAIN, AskAnother

OURS = SimpleStatement("SELECT", is_idempotent=True)
LOCK = SimpleStatement("INSERT ... IF NOT EXISTS", is_idempotent=False)
QUORUM = ConsistencyLevel.LOCAL_QUORUM


def decided(statement: SimpleStatement, retry_num: int) -> set[int]:
    """What is decided of *statement* when its node was answered too late, read or written, as the driver asks it."""
    policy = AskAnother()
    late = {"consistency": QUORUM, "required_responses": 2, "received_responses": 1, "retry_num": retry_num}
    answers = [
        policy.on_read_timeout(statement, data_retrieved=True, **late),
        policy.on_write_timeout(statement, write_type=WriteType.UNLOGGED_BATCH, **late),
        policy.on_write_timeout(statement, write_type=WriteType.SIMPLE, **late),
    ]
    assert {consistency for _, consistency in answers} == {None}
    return {decision for decision, _ in answers}


@pytest.mark.parametrize("retry_num", range(AGAIN))
def test_what_may_be_repeated_is_asked_of_another_node(retry_num: int) -> None:
    """As it was asked: never at a lower consistency."""
    assert decided(OURS, retry_num) == {RetryPolicy.RETRY_NEXT_HOST}


def test_it_is_asked_again_a_few_times_only() -> None:
    """Then whoever asked is told; the archive waits, a page is a 503."""
    assert decided(OURS, AGAIN) == {RetryPolicy.RETHROW}


def test_what_may_not_be_repeated_is_not() -> None:
    """A lock that was perhaps taken is asked for by whoever knows whether it was."""
    assert decided(LOCK, 0) == {RetryPolicy.RETHROW}


def test_a_node_that_sees_nobody_else_is_passed_over() -> None:
    """It has done nothing, so whatever it was may be asked of the next; a few times only."""
    policy = AskAnother()
    alone = {"consistency": QUORUM, "required_replicas": 2, "alive_replicas": 1}
    decisions = [policy.on_unavailable(LOCK, retry_num=number, **alone) for number in range(AGAIN + 1)]
    assert decisions == [(RetryPolicy.RETRY_NEXT_HOST, None)] * AGAIN + [(RetryPolicy.RETHROW, None)]


def test_a_clusters_requests_are_decided_so() -> None:
    """Reads and writes."""
    cluster = cluster_of(Address(hosts=("127.0.0.1",), port=9, keyspace="none"))
    try:
        profiles = cluster.profile_manager.profiles
        assert {type(profiles[name].retry_policy) for name in (EXEC_PROFILE_DEFAULT, READ)} == {AskAnother}
    finally:
        cluster.shutdown()
