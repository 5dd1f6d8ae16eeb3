"""The deliberate mistakes in what the archive takes, and when it says so."""

from scripts.bugs.bug import Bug

ARCHIVE = [
    Bug(
        "ack-before-commit",
        "the archive acknowledges before the store has committed",
        "workers/worker.py",
        "await self._settle(batch, await self._apart.handle(batch))",
        "await self._pull.ack(batch); await self._settle(batch, await self._apart.handle(batch))",
        "tests/integration/test_archive.py",
    ),
    Bug(
        "watermark-hole",
        "a delivery that never came is not noticed: the watermark passes a hole",
        "workers/archive/watermark.py",
        "if self._next is not None and delivery.delivery != self._next:",
        "if False:",
        "tests/unit/workers/archive",
    ),
    Bug(
        "removal-order",
        "a restore undoes removals that come after it",
        "infra/sqlite/batch.py",
        "if max(removed_at, purged_at) <= (restored_seq or 0):",
        "if restored_seq:",
        "tests/contract/test_sqlite_comment_store.py",
    ),
    Bug(
        "first-sight",
        "verify says what differs at first sight: what was decided since the beginning is a difference",
        "ovation/verify.py",
        "page.differences = await comparing.again(page, after, upto)",
        "pass",
        "tests/integration/test_verify_live.py",
    ),
    Bug(
        "clean-loss",
        "verify compares what there is: what the log forgot before it was archived is no difference",
        "ovation/verify.py",
        "if first >= state.first:",
        "if True:",
        "tests/integration/test_verify_live.py",
    ),
    Bug(
        "unfilled-store",
        "a store that comes back with less than it had is written on: the mark passes what it lost",
        "workers/archive/live.py",
        "if mark < self._seen or self._lacking:",
        "if False:",
        "tests/integration/test_archive_losses.py",
    ),
    Bug(
        "filled-to-the-floor",
        "an old copy is filled up to the ack floor alone: what was acknowledged above it is never stored",
        "workers/archive/live.py",
        "consumer.delivered if beyond else committed",
        "committed",
        "tests/integration/test_archive_losses.py",
    ),
    Bug(
        "slow-in-silence",
        "nobody looks at how long the store takes while it takes everything: an archive falls behind without a word",
        "workers/archive/lag.py",
        "self._learned(lag)",
        "pass",
        "tests/integration/test_archive_outages.py::test_a_slow_store_is_said",
    ),
]
