"""Where segments are cut, for every odd rhythm of keyframes."""

from hypothesis import given
from hypothesis import strategies as st

from workers.media.cutter import ENOUGH_S, LONGEST_S, Cutter, Fragment, Segment

TARGET = 1
LONGEST = TARGET + 0.499


def fragments(*groups: float, step: float = 0.5) -> list[tuple[Fragment, bool]]:
    """What ffmpeg delivers for groups of pictures that last so long: fragments, and whether a keyframe follows each."""
    found = []
    start = 0.0
    for number, group in enumerate(groups):
        left, first = group, True
        while left > 1e-9:
            lasts = min(step, left)
            left -= lasts
            fragment = Fragment(start, lasts, 15, first, bytes((number,)))
            found.append((fragment, left <= 1e-9 and number < len(groups) - 1))
            start += lasts
            first = False
    return found


def cut(given_fragments: list[tuple[Fragment, bool]], longest: float = LONGEST, *, told: bool = True) -> list[Segment]:
    """All segments of *given_fragments*; *told*: keyframes are known beforehand."""
    cutter = Cutter(lambda: longest)
    done = [segment for each, ends in given_fragments for segment in cutter.add(each, group_ends=ends and told)]
    return done + cutter.flush()


def lengths(segments: list[Segment]) -> list[float]:
    """Their durations."""
    return [round(segment.duration, 3) for segment in segments]


def test_one_group_a_second_is_one_segment() -> None:
    """And it is complete with its last fragment, not when the next begins."""
    cutter = Cutter(lambda: LONGEST)
    (first, _), (second, ends), *_ = fragments(1.0, 1.0)
    assert cutter.add(first, group_ends=False) == []
    assert lengths(cutter.add(second, group_ends=ends)) == [1.0]


def test_short_groups_share_a_segment() -> None:
    """Keyframes twice a second make segments of one second."""
    assert lengths(cut(fragments(0.5, 0.5, 0.5, 0.5))) == [1.0, 1.0]


def test_a_scene_cut_makes_a_short_segment_and_not_one_without_keyframe() -> None:
    """0.8 s and then a whole second would be 1.8 s, over the target: the 0.8 s go alone."""
    segments = cut(fragments(1.0, 0.8, 1.0, 1.0))
    assert lengths(segments) == [1.0, 0.8, 1.0, 1.0]
    assert all(segment.independent for segment in segments)


def test_a_group_over_the_target_is_cut_without_keyframe() -> None:
    """The target duration holds; the segments in mid-group say that they do not begin with a keyframe."""
    segments = cut(fragments(1.0, 3.0, 1.0))
    assert lengths(segments) == [1.0, 1.0, 1.0, 1.0, 1.0]
    assert [segment.independent for segment in segments] == [True, True, False, False, True]


@given(st.lists(st.floats(0.04, 9.0), min_size=1, max_size=12), st.sampled_from([LONGEST, 2.499, LONGEST_S]), st.booleans())
def test_whatever_the_rhythm(groups: list[float], longest: float, told: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    """No segment is too long, nothing is lost or reordered, and a keyframe starts every segment that can have one."""
    made = fragments(*groups)
    segments = cut(made, longest, told=told)

    assert b"".join(segment.data for segment in segments) == b"".join(each.data for each, _ in made)
    assert all(segment.duration <= longest + 1e-6 for segment in segments)
    assert sum(segment.pictures for segment in segments) == sum(each.pictures for each, _ in made)
    if max(groups) <= longest and min(groups) >= ENOUGH_S:
        assert lengths(segments) == [round(group, 3) for group in groups]
    if longest >= LONGEST_S:
        assert all(segment.independent for segment in segments)
