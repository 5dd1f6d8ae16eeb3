"""Which buckets of a stream were seen to hold comments, and how many: a guess at where a page will lie.

What a page asks first it asks before it knows which buckets there are. A guess that is right spares it a question that would
wait for another; one that is wrong costs that question, or rows that nobody needs. It is never believed: which buckets there
are is asked at the same time, unless the page lies in neighbours, between which there can be none.
"""

from collections.abc import Sequence

from msgspec import Struct

from infra.scylla import places
from infra.scylla.wanted import Wanted

#: Streams that are remembered, by each handle, and buckets of each; a stream that was spoken in for ten hours of a log of 400
#: comments/s has 220.
STREAMS = 1000
BUCKETS = 250
#: Blocks of a page's first question: those of a sweep of ten thousand removals, other streams' items between them.
BLOCKS = 64
#: A cursor that is so near to the next bucket (seqs) may have its page there.
NEAR = 16 * places.BLOCK
#: Blocks of that next bucket: half of such a sweep.
NEXT = BLOCKS // 2
#: Buckets whose blocks are asked for together.
MOST = 4
#: Comments of a bucket of which nothing else is known: every fourth seq.
UNKNOWN = places.BUCKET // 4
#: A bucket that has fewer than so many pages may not have all of one.
FEW = 4
#: By how many comments a guess at where an offset ends may be wrong.
ASTRAY = 1000
#: Blocks of a bucket.
WHOLE = places.BUCKET // places.BLOCK

#: A bucket, about how many comments of it are ahead, and in how many blocks.
_Part = tuple[int, int, int]


class Reach(Struct):
    """Buckets in which a page may lie, in its order, and how many blocks of them it may need.

    *whole*: they are neighbours, and the page ends in them unless the guess is wrong: no others need be known first.
    """

    buckets: list[int]
    blocks: int
    whole: bool = False


class Outlines:
    """What one handle has seen."""

    def __init__(self) -> None:
        """Of nothing yet."""
        self._seen: dict[str, dict[int, int]] = {}

    def learn(self, stream_id: str, buckets: Sequence[tuple[int, int]], begins: int | None = None) -> None:
        """See *buckets* and how many comments each has; *begins*: from that one to the last of them there are no others."""
        seen = self._seen.pop(stream_id, {})
        if begins is not None and buckets:
            # Their comments have ended, or were erased.
            low, high = sorted((begins, buckets[-1][0]))
            seen = {bucket: comments for bucket, comments in seen.items() if not low <= bucket <= high}
        seen.update((bucket, comments) for bucket, comments in buckets if comments)
        while len(seen) > BUCKETS:
            del seen[next(iter(seen))]
        if seen:
            self._seen[stream_id] = seen
        if len(self._seen) > STREAMS:
            del self._seen[next(iter(self._seen))]

    def forget(self, stream_id: str) -> None:
        """What was known of a stream was wrong."""
        self._seen.pop(stream_id, None)

    def reach(self, wanted: Wanted, limit: int, offset: int) -> Reach:
        """Where the *limit* comments after the first *offset* of what is *wanted* may be; nowhere if nothing is known."""
        seen = self._seen.get(wanted.stream_id, {})
        step = -1 if wanted.descending else 1
        if wanted.has_cursor:
            first, place = divmod(wanted.begins, places.BUCKET)
            room = place + 1 if wanted.descending else places.BUCKET - place
        elif seen:
            first, room = (max if wanted.descending else min)(seen), places.BUCKET
        else:
            return Reach([], 0)
        beyond = sorted((each for each in seen if (each - first) * step > 0), reverse=wanted.descending)
        others = [(each, seen[each]) for each in beyond] or [(first + step, 0)] * (first + step >= 0)
        held = seen.get(first, UNKNOWN)
        parts = [(first, held * room // places.BUCKET, room // places.BLOCK + 1), *((*each, WHOLE) for each in others)]
        reach = _deep(parts, limit, offset) if offset else _near(parts, limit, room)
        # Without a cursor it begins in the first bucket that was seen: there may be others before it.
        reach.whole &= wanted.has_cursor
        return reach


def _near(parts: list[_Part], limit: int, room: int) -> Reach:
    """Without an offset: the first bucket, and the next one where the page may go on in it."""
    (first, ahead, blocks), *others = parts
    near = room <= NEAR
    if not others or (not near and ahead >= FEW * limit):
        return Reach([first], BLOCKS)
    after, comments, _ = others[0]
    whole = near and abs(after - first) == 1 and comments >= FEW * limit
    return Reach([first, after], min(BLOCKS, blocks + NEXT) if near else BLOCKS, whole)


def _deep(parts: list[_Part], limit: int, offset: int) -> Reach:
    """With an offset: the first bucket, of which a part is passed over, and those in which the offset may end."""
    asked: list[int] = []
    blocks, left = 0, offset + limit
    for bucket, comments, size in parts:
        if asked and (left <= -ASTRAY or len(asked) == MOST):
            break
        if asked and 0 < comments < left - limit - ASTRAY:
            # All of it is passed over, and its own count says so.
            left -= comments
            continue
        asked.append(bucket)
        blocks += size if left >= comments else 1 + size * max(left, 0) // max(comments, 1)
        left -= comments
    whole = len(asked) > 1 and abs(asked[-1] - asked[0]) == len(asked) - 1 and left <= -ASTRAY
    return Reach(asked, min(blocks * 5 // 4 + NEAR // places.BLOCK, WHOLE * len(asked)), whole)
