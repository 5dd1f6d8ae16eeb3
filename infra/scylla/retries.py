"""What becomes of a request whose node says that too few others answered it: another node is asked.

The driver's own policy ends such a request, also while a second question of it is under way that another node could still
answer. One slow node then failed batches of which the two others had taken all: an archive stood still for 6 s.
"""

from cassandra.policies import RetryPolicy
from cassandra.query import Statement

#: Of one request, within its time; a plan has each node twice.
AGAIN = 2

Decision = tuple[int, int | None]


class AskAnother(RetryPolicy):  # type: ignore[misc]  # the driver has no types
    """For statements that may be repeated, which all of ours are but those of the migrations' lock."""

    def on_read_timeout(self, query: Statement, *_consistency: object, retry_num: int, **_answers: object) -> Decision:
        """Replicas were too slow for the node that was asked."""
        return self._another(query, retry_num)

    def on_write_timeout(self, query: Statement, *_consistency: object, retry_num: int, **_answers: object) -> Decision:
        """Too few replicas have taken it in time; they may yet."""
        return self._another(query, retry_num)

    def on_unavailable(self, _query: Statement, *_consistency: object, retry_num: int, **_replicas: object) -> Decision:
        """Nothing was done: a node that has just started sees nobody else for a while."""
        return (self.RETRY_NEXT_HOST if retry_num < AGAIN else self.RETHROW), None

    def _another(self, query: Statement, retry_num: int) -> Decision:
        return (self.RETRY_NEXT_HOST if query.is_idempotent and retry_num < AGAIN else self.RETHROW), None
