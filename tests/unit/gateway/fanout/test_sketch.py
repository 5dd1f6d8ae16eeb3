"""Distinct people from samples: exact while the samples are complete, close above, and marked."""

from collections.abc import Collection

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.fanout.sketch import Group, pack, person, smallest, union, unpack

K = 1024
HASHES = st.integers(1, 2**60 - 1)


def _group(people: Collection[int], k: int = K) -> Group:
    return Group(len(people), smallest(people, k))


def _people(first: int, last: int) -> set[int]:
    return {person(f"guest-{n}") for n in range(first, last)}


@given(crowds=st.lists(st.sets(st.integers(1, 60)), min_size=1, max_size=5))
def test_up_to_the_bound_the_union_is_exact(crowds: list[set[int]]) -> None:
    """Whatever the overlap, the count is the number of distinct people, and is no estimate."""
    assert union([_group(crowd, 60) for crowd in crowds]) == (len(set().union(*crowds)), False)


@given(
    sizes=st.lists(st.integers(0, 4000), min_size=2, max_size=3), shifts=st.lists(st.integers(0, 4000), min_size=3, max_size=3)
)
@example(sizes=[4000, 4000, 4000], shifts=[0, 0, 0])
@example(sizes=[4000, 1, 1], shifts=[0, 0, 3999])
@example(sizes=[4000, 1600], shifts=[0, 0, 0])
def test_above_the_bound_the_estimate_is_close_and_marked(sizes: list[int], shifts: list[int]) -> None:
    """Within 10 % for three gateways (5 standard deviations at worst), never under the largest nor over the sum."""
    crowds = [_people(shift, shift + size) for size, shift in zip(sizes, shifts, strict=False)]
    count, approximate = union([_group(crowd) for crowd in crowds])
    true = len(set().union(*crowds))

    assert approximate == any(size > K for size in sizes)
    assert abs(count - true) <= 0.1 * true
    assert max(sizes) <= count <= sum(sizes)


def test_people_in_one_gateway_each_are_counted_without_error_above_the_bound() -> None:
    """A hundred thousand people over four gateways, nobody twice: the sum."""
    crowds = [_people(n * 25_000, (n + 1) * 25_000) for n in range(4)]

    assert union([_group(crowd) for crowd in crowds]) == (100_000, True)
    assert union([_group(crowds[0])]) == (25_000, False)


def test_a_crowd_without_its_sample_still_counts() -> None:
    """When the numbers came and the sample did not, the sum is the best that is known."""
    assert union([Group(5000, b""), _group(_people(0, 10))]) == (5010, True)


@given(hashes=st.sets(HASHES, max_size=300), k=st.integers(1, 100))
@example(hashes={2**60 - n for n in range(1, 200)}, k=5)
@example(hashes={person(f"guest-{n}") for n in range(300)}, k=20)
def test_a_sample_is_the_smallest_hashes(hashes: set[int], k: int) -> None:
    """In order above the bound, whatever their spread; everybody below it."""
    sample = list(unpack(smallest(hashes, k)))

    assert sorted(sample) == sorted(hashes)[:k]


@given(hashes=st.lists(HASHES))
def test_samples_survive_the_wire(hashes: list[int]) -> None:
    """Packed and unpacked, little-endian whatever the machine; half a hash at the end is nobody."""
    packed = pack(hashes)

    assert list(unpack(packed)) == hashes
    assert packed[:8] == (hashes[0].to_bytes(8, "little") if hashes else b"")
    assert list(unpack(packed + b"xyz")) == hashes


def test_a_person_is_hashed_alike_everywhere() -> None:
    """The value is part of what gateways of different versions agree on."""
    assert person("guest-1") == 0x3EAC7A101426D41
    assert 0 < person("anyone") < 2**60
