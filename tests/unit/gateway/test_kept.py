"""What is kept between two questions weighs no more than it may."""

from gateway.kept import Kept


def test_the_longest_unasked_goes_first() -> None:
    """Asking for a value, or putting it again, makes it the newest."""
    kept: Kept[str] = Kept(10)
    for key in "abc":
        kept.put(key, key.upper(), 3)
    assert kept.get("a") == "A"
    kept.put("d", "D", 3)

    assert [kept.get(key) for key in "abcd"] == ["A", None, "C", "D"]


def test_a_value_is_weighed_anew_when_it_is_put_again() -> None:
    """Its former weight does not stay; what outweighs everything is not kept, and leaves room as before."""
    kept: Kept[int] = Kept(10)
    for weight in (1, 9, 2):
        kept.put("a", weight, weight)
    kept.put("b", 8, 8)
    assert (kept.get("a"), kept.get("b")) == (2, 8)
    kept.put("c", 11, 11)
    assert len(kept) == 0
    kept.put("b", 10, 10)

    assert kept.get("b") == 10


def test_what_is_not_here_can_be_dropped() -> None:
    """Dropping twice takes its weight away once."""
    kept: Kept[int] = Kept(2)
    kept.put("a", 1, 2)
    kept.drop("a")
    kept.drop("a")
    kept.put("b", 1, 2)
    kept.put("c", 1, 1)

    assert (kept.get("b"), kept.get("c"), len(kept)) == (None, 1, 1)
