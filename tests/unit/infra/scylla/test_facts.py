"""What decisions amount to, and in which partitions things are."""

import itertools

from infra.scylla import places
from infra.scylla.facts import PURGED, RESTORED, standing, verdict
from infra.sqlite import batch


def test_the_latest_decision_holds() -> None:
    """The same as SQLite judges, for every choice of seqs of the three kinds."""
    for removed, restored, purged in itertools.permutations((None, 5, 6, 7), 3):
        kinds = ((removed, "removed:author"), (restored, RESTORED), (purged, PURGED))
        decided = {seq: kind for seq, kind in kinds if seq is not None}

        assert standing(decided) == batch.standing(1, removed, "author", restored, purged), decided


def test_a_decision_on_another_comment_is_none() -> None:
    """A log that lost its last second gives a seq again: what was decided on the old comment does not touch the new one."""
    assert verdict("7", {3: "7 removed:moderator"}) == "moderator"
    assert verdict("7", {3: "8 removed:moderator"}) is None
    assert verdict("7", None) is None


def test_blocks_fill_buckets() -> None:
    """A block is counted in one bucket, whatever its number."""
    assert places.BUCKET % places.BLOCK == 0
    assert {places.bucket_of(places.block_of(seq) * places.BLOCK) for seq in (0, 1, 65_535)} == {0}
    assert places.bucket_of(places.block_of(65_536) * places.BLOCK) == 1


def test_parts_share_keys_evenly() -> None:
    """The fullest of them has less than twice its share."""
    counts = [0] * places.PARTS
    for number in range(50_000):
        counts[places.part_of(f"c{number << 22}")] += 1

    assert max(counts) < 2 * 50_000 / places.PARTS
