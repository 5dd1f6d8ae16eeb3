"""The deliberate mistakes in the stores on a cluster, and in what compares them with a log."""

from scripts.bugs.bug import Bug

_CONTRACT = "tests/contract/test_scylla_comment_store.py"
_BEYOND = "tests/integration/test_scylla.py"

STORE = [
    Bug(
        "unseen-decision",
        "a comment does not look for what was decided on it before it came: it is shown",
        "infra/scylla/batch.py",
        "        if not by_id and not by_user:\n            return []",
        "        if by_id or by_user:\n            return []",
        f"{_CONTRACT}::TestScyllaComments::test_a_comment_after_its_removal_stays_removed",
    ),
    Bug(
        "early-mark",
        "the watermark is written before the items: who dies in between has lost them",
        "infra/scylla/comments.py",
        "        if items:\n            await self._batches.write(items)\n        if archived_through:",
        "        if archived_through and items:\n            await self.write([], archived_through)\n"
        "        if items:\n            await self._batches.write(items)\n        if archived_through:",
        f"{_BEYOND}::test_a_writer_killed_anywhere_leaves_its_batch_to_the_next",
    ),
    Bug(
        "older-stands",
        "of two items that a log gave the same seq the older one stands",
        "infra/scylla/facts.py",
        "return item.at_ms * 1000 + item.seq % 1000",
        "return 4_000_000_000_000_000 - item.at_ms * 1000",
        f"{_CONTRACT}::TestScyllaComments::test_a_replaced_message_replaces_its_row",
    ),
    Bug(
        "removed-counted",
        "what is removed is counted as shown",
        "infra/scylla/tallies.py",
        "shown += not decided or verdict(comment_id, decided) is None",
        "shown += 1",
        f"{_BEYOND}::test_two_writers_of_one_stream_count_it_exactly",
    ),
    Bug(
        "kept-slot",
        "a reader that leaves keeps its slot: in the end nobody is answered",
        "infra/scylla/bridge.py",
        "            self._slots.release()\n            if answer.done():\n                continue",
        "            if answer.done():\n                continue\n            self._slots.release()",
        f"{_BEYOND}::test_readers_that_leave_hold_no_slots",
    ),
    Bug(
        "first-refusal",
        "second questions use up a plan: the first node that refuses ends a request that others are working on",
        "infra/scylla/suspects.py",
        "        return iter(plan * ROUNDS)",
        "        return iter(plan)",
        "tests/unit/infra/scylla/test_suspects.py",
    ),
    Bug(
        "hung-first",
        "a node that hangs is asked first again and again until its heartbeats are missed",
        "infra/scylla/suspects.py",
        "            self._until[host] = until",
        "            self._until[host] = 0.0",
        "tests/unit/infra/scylla/test_suspects.py",
    ),
    Bug(
        "skipped-block",
        "a block of which only a part is wanted is passed over whole by an offset",
        "infra/scylla/wanted.py",
        "inside = self.after < first and last < self.before",
        "inside = True",
        f"{_CONTRACT}::TestScyllaComments::test_ten_thousand_comments_page_by_cursor",
    ),
    Bug(
        "unverified-verdict",
        "verify does not look at what was decided",
        "ovation/verify.py",
        "if reason != row.removed:",
        "if False:",
        "tests/integration/test_verify.py",
    ),
    Bug(
        "unmoved-ranks",
        "a comment that comes late moves none of the ranks after it: an offset begins in the wrong place",
        "infra/sqlite/ranks.py",
        "    db.executemany(_MOVED, moved)",
        "    db.executemany(_MOVED, moved[:0])",
        "tests/contract/test_sqlite_comment_store.py",
    ),
    Bug(
        "last-for-first",
        "a block's last comment is taken for its first: a page passes over the others",
        "infra/scylla/tallies.py",
        "low, high = tally.first_seq, tally.last_seq",
        "low, high = tally.last_seq, tally.last_seq",
        "tests/integration/test_scylla_pages.py",
    ),
    Bug(
        "forgotten-beginning",
        "a log that has forgotten its beginning counts as whole: a page of it is short of what the store has",
        "gateway/history.py",
        "return found if state.first <= (found[-1].seq if enough else after + 1) else None",
        "return found",
        "tests/integration/test_log_alone.py::test_a_page_of_a_log_that_forgot_asks_the_store",
    ),
    Bug(
        "nowhere-too-soon",
        "a comment that a replica does not show yet is said to be nowhere, without a word from the log's leader",
        "gateway/history.py",
        "        if newest <= recent.last:\n            return None",
        "        if newest:\n            return None",
        "tests/integration/test_log_alone.py::test_a_comment_of_a_moment_ago_is_found",
    ),
    Bug(
        "silence-for-loss",
        "what a store was known to have is all it has: while it is silent, a viewer is told that the rest is lost",
        "gateway/history.py",
        "await self._ask(self._store.archived_through(log))",
        "await self._unarchived.through(log)",
        "tests/integration/test_log_alone.py::test_who_catches_up_waits_for_the_store_in_time",
    ),
]
