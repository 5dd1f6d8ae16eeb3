"""Which node is asked first and which last, by what they answered."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from infra.scylla.suspects import SUSPECT_S, SuspectsLast

ONE, TWO, THREE = "one", "two", "three"


class Nodes:
    """The driver's policy below: all nodes, always in the same order."""

    def make_query_plan(self, _keyspace: str | None = None, _query: object = None) -> Iterator[str]:
        """All of them."""
        return iter((ONE, TWO, THREE))


class Asked:
    """A policy, its clock, and requests that have ended."""

    def __init__(self) -> None:
        self.now = 100.0
        self.policy = SuspectsLast(Nodes(), lambda: self.now)

    @property
    def order(self) -> list[Any]:
        """Whom the next request asks."""
        return list(self.policy.make_query_plan())

    def request(self, *asked: str, by: str | None = None, error: Exception | None = None) -> None:
        """One that asked these and was answered *by* one of them, or failed."""
        self.policy.learn(SimpleNamespace(attempted_hosts=list(asked), coordinator_host=by), error)


def test_a_node_that_was_overtaken_is_asked_last() -> None:
    """Until its time is over; and nobody is left out."""
    asked = Asked()
    asked.request(ONE, TWO, by=TWO)
    assert asked.order[:3] == [TWO, THREE, ONE]
    asked.now += SUSPECT_S - 0.01
    assert asked.order[:3] == [TWO, THREE, ONE]
    asked.now += 0.02
    assert asked.order[:3] == [ONE, TWO, THREE]


def test_a_node_that_answers_is_suspect_no_more() -> None:
    """It was asked alone, and answered; who was slower than its own second question was not overtaken."""
    asked = Asked()
    asked.request(ONE, TWO, by=TWO)
    asked.request(ONE, by=ONE)
    asked.request(TWO, THREE, by=TWO)
    assert asked.order[:3] == [ONE, TWO, THREE]


def test_all_that_failed_are_suspect() -> None:
    """Those that a failed request has asked are asked after the one it has not; all of them, and the order is as ever."""
    asked = Asked()
    asked.request(ONE, TWO, error=TimeoutError())
    assert asked.order[:3] == [THREE, ONE, TWO]
    asked.request(THREE, error=TimeoutError())
    assert asked.order[:3] == [ONE, TWO, THREE]


def test_a_plan_outlasts_second_questions() -> None:
    """A request that has been sent to all of three nodes can still be sent again when one refuses."""
    asked = Asked()
    assert asked.order == [ONE, TWO, THREE] * 2
    asked.request(TWO, ONE, by=ONE)
    assert asked.order == [ONE, THREE, TWO] * 2
