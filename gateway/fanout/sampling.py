"""Who is shown what of a stream that says more than a person can read: by priority, then by diversity.

A cohort is a quarter of the viewers; each is shown another random share, so that between them they see four times as much.
What is drawn depends on the log and on what is announced alone, so it is the same on all gateways, wherever their windows end.
"""

from collections.abc import Sequence
from hashlib import blake2b
from random import random
from struct import Struct

from gateway.shown import Shown
from infra.policy import Weights
from schemas.items import Comment

COHORTS = 4
EVERYBODY = tuple(range(COHORTS))
_UNIT = 2.0**64
#: One digest has a number for each cohort: 2.6 us a comment, and 7.2 with a digest for each.
_NUMBERS = Struct(f">{COHORTS}Q")


def cohort_of(person: int) -> int:
    """The cohort of a person (a uniform 64-bit number)."""
    return person % COHORTS


def any_cohort() -> int:
    """The cohort of somebody who says not who it is."""
    return int(random() * COHORTS)  # noqa: S311 - a share, not a secret


def weight_of(comment: Comment, weights: Weights) -> float:
    """How much more than others a comment is to be shown; 0: always, as the creator's and the moderators' are."""
    badges = comment.user.badges
    if not {"creator", "moderator", "admin"}.isdisjoint(badges):
        return 0.0
    weight = weights.verified if "verified" in badges else 1.0
    if comment.parent_comment_id is not None:
        weight *= weights.reply
    if "?" in comment.text or "\uff1f" in comment.text or "\u061f" in comment.text:
        weight *= weights.question
    return weight


def always_shown(item: Shown) -> bool:
    """Whether nobody may miss it: what is no comment, and comments of weight 0."""
    return item.comment_id is None or item.weight <= 0


def drawn(item: Shown, share: float) -> Sequence[int]:
    """The cohorts whose luck with a comment is within *share*, its weight times over; a larger share only adds to them."""
    edge = share * item.weight * _UNIT
    if edge >= _UNIT or share >= 1.0:
        return EVERYBODY
    luck = _NUMBERS.unpack(blake2b((item.comment_id or "").encode(), digest_size=_NUMBERS.size).digest())
    return [cohort for cohort, number in enumerate(luck) if number < edge]


class Draws:
    """Draws a stream's comments in the log's order.

    The limit is kept by the log's own seconds, which all gateways read alike. One that begins to follow in the middle of a
    second, or hears of another share a moment later than others, may differ from them for that long.
    """

    __slots__ = ("_second", "_shown")

    def __init__(self) -> None:
        self._second = 0
        #: Of the comments of that second, how many each cohort was shown.
        self._shown = [0] * COHORTS

    def draw(self, item: Shown, share: float, per_s: int) -> Sequence[int]:
        """The cohorts that are shown *item*: about *share* of the comments, of a second's at most the first *per_s* (0: all).

        What is always shown does not count.
        """
        if always_shown(item):
            return EVERYBODY
        cohorts = drawn(item, share)
        if not per_s or not cohorts:
            return cohorts
        second = item.at_ms // 1000
        # Another, not a later one: after a clock that was ahead, a later one would not come for as long.
        if second != self._second:
            self._second, self._shown = second, [0] * COHORTS
        cohorts = [cohort for cohort in cohorts if self._shown[cohort] < per_s]
        for cohort in cohorts:
            self._shown[cohort] += 1
        return cohorts
