"""Who is shown what of a stream that says more than a person can read: by priority, then by diversity.

Pure functions of the comment and the cohort, equal on all gateways. A cohort is a quarter of the viewers; each is shown
another random share, so that between them they see four times as much.
"""

from collections.abc import Sequence
from hashlib import blake2b
from random import random

from gateway.fanout.window import Window
from gateway.shown import Shown
from infra.policy import Weights
from schemas.items import Comment

COHORTS = 4
_UNIT = 2.0**64


def cohort_of(person: int) -> int:
    """The cohort of a person (a uniform 64-bit number)."""
    return person % COHORTS


def any_cohort() -> int:
    """The cohort of somebody who says not who it is."""
    return int(random() * COHORTS)  # noqa: S311 - a share, not a secret


def luck(comment_id: str, cohort: int) -> float:
    """A uniform number in [0, 1) for a comment and a cohort."""
    digest = blake2b(f"{comment_id}.{cohort}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _UNIT


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


def score(item: Shown, cohort: int) -> float:
    """What decides whether *item* is shown to *cohort*: the lower the sooner; 0 for what is always shown."""
    if item.comment_id is None or item.weight <= 0:
        return 0.0
    return luck(item.comment_id, cohort) / item.weight


def chosen(items: Sequence[Shown], cohort: int, share: float, most: int) -> list[Shown]:
    """The items of a window that *cohort* is shown, in order: about *share* of the comments, and not above *most* of them.

    What is no comment, and comments of weight 0, are always shown and not counted against *most*.
    """
    scores = {item.seq: score(item, cohort) for item in items}
    drawn = sorted((value, seq) for seq, value in scores.items() if 0.0 < value < share)
    shown = {seq for _, seq in drawn[:most]} | {seq for seq, value in scores.items() if value == 0.0}
    return [item for item in items if item.seq in shown]


def cut(window: Window, share: float, most: int) -> Window:
    """The same window with one cut for each cohort."""
    of = sum(item.kind == "comment" for item in window.items)
    cuts = []
    for cohort in range(COHORTS):
        items = tuple(chosen(window.items, cohort, share, most))
        shown = sum(item.kind == "comment" for item in items)
        cuts.append(Window(window.prev, window.to, items, window.made_at, (shown, of)))
    return Window(window.prev, window.to, window.items, window.made_at, cuts=tuple(cuts))
