"""The removed set: the same answer in whatever order decisions are learned."""

from itertools import permutations

from gateway.removals import Removals
from schemas.items import Item, Purged, Restored
from tests.factories import comment, removed


def test_of_two_decisions_the_later_one_holds() -> None:
    """Removed at 5, restored at 8, removed at 9: removed, in any order of learning."""
    decisions: list[tuple[Item, int]] = [(removed(1), 5), (Restored(comment=comment(1)), 8), (removed(1), 9)]
    for order in permutations(decisions):
        removals = Removals()
        for item, seq in order:
            removals.learn(item, seq)

        assert removals.reason("1", "ada", 3) == "moderator"


def test_a_restored_comment_is_shown() -> None:
    """Removed at 5, restored at 8: shown, in any order."""
    decisions: list[tuple[Item, int]] = [(removed(1), 5), (Restored(comment=comment(1)), 8)]
    for order in permutations(decisions):
        removals = Removals()
        for item, seq in order:
            removals.learn(item, seq)

        assert removals.reason("1", "ada", 3) is None


def test_a_purge_hides_what_came_before_it_only() -> None:
    """Comments of the user below the purge's seq are hidden; a later one is not."""
    removals = Removals()
    removals.learn(Purged(user_id="ada"), 10)

    assert removals.reason("1", "ada", 9) == "purged"
    assert removals.reason("2", "ada", 11) is None
    assert removals.reason("3", "bob", 9) is None


def test_a_restoration_after_a_purge_holds() -> None:
    """Purged at 10, one comment restored at 12: that one is shown."""
    removals = Removals()
    removals.learn(Purged(user_id="ada"), 10)
    removals.learn(Restored(comment=comment(1)), 12)

    assert removals.reason("1", "ada", 3) is None
    assert removals.reason("2", "ada", 3) == "purged"


def test_what_was_decided_before_is_taken_over_at_once() -> None:
    """Of both the later decision holds, on a comment and on a person, and all since the earlier of the two is known."""
    newer, older = Removals(10), Removals(2)
    after: list[tuple[int, Item]] = [(12, Restored(comment=comment(1))), (13, removed(2)), (14, Purged(user_id="eve"))]
    for seq, item in after:
        newer.learn(item, seq)
    before: list[tuple[int, Item]] = [(3, removed(1)), (4, Purged(user_id="eve")), (5, removed(3)), (6, Purged(user_id="bob"))]
    for seq, item in before:
        older.learn(item, seq)
    newer.absorb(older)

    assert newer.since == 2
    assert [newer.reason(str(n), "ada", 1) for n in (1, 2, 3)] == [None, "moderator", "moderator"]
    assert [newer.reason("9", who, seq) for who, seq in (("eve", 13), ("bob", 5), ("bob", 7))] == ["purged", "purged", None]
