"""A long show as its log has it: two evenings a week apart, a tenth of the comments removed, other streams' items between.

Six in a hundred are removed one by one: four soon after they were posted, two in two sweeps, which leave thousands of removals
in a row (one in the first evening, one after the end). Four in a hundred go with eight people who wrote thousands in a
row each and were purged. One removal in fifty is taken back. The same show for the same arguments.
"""

import heapq
import itertools
import random
from collections.abc import Iterator

from infra.stores import LoggedItem
from schemas import codec
from schemas.items import Comment, Item, Purged, Removed, Restored, User
from schemas.times import rfc3339

LOG = "LIVE_0"
WEEK_MS = 7 * 86_400_000
#: What the log's other streams said in that week: 20 items a second.
WEEK_SEQS = 20 * 7 * 86_400
#: Comments a second, while there is talk.
RATE = 100
RAIDS = 8
SAID = (
    "so that was the goal we have waited for all evening long and nobody here in the room can say how it went in "
    "but everybody has seen it and sings while the others look at their boots"
)
WORDS = tuple(SAID.split())


class Show:
    """One show; `seqs` and `times` of its comments are filled while it is told."""

    def __init__(self, stream_id: str, comments: int, ends_ms: int, first_seq: int = 1, seed: int = 1) -> None:
        """*comments*: a multiple of 1,000; at 100 a second they end at about *ends_ms*."""
        self.stream_id = stream_id
        self.comments = comments
        self.seqs: list[int] = []
        self.times: list[int] = []
        #: Where a purged person's comments begin, and where a sweep is: indexes of comments.
        self.raids = [comments // RAIDS * n + comments // 16 for n in range(RAIDS)]
        self.sweeps = [comments // 4, comments]
        self._chance = random.Random(seed)
        self._seq, self._at_ms = first_seq, ends_ms - WEEK_MS - comments * 1000 // RATE
        #: Decisions that are on their way: the comment's index after which they come, and what.
        self._later: list[tuple[int, int, Item]] = []
        self._turns = itertools.count()

    def told(self) -> Iterator[LoggedItem]:
        """All its items, in order."""
        raiding, raid = "", self.comments // 25 // RAIDS
        swept: list[str] = []
        for index in range(self.comments):
            if index == self.comments // 2:
                self._at_ms += WEEK_MS
                self._seq += WEEK_SEQS
            self._at_ms += self._chance.randint(0, 2 * 1000 // RATE)
            if index in self.raids:
                raiding = f"raider-{self.raids.index(index)}"
                self._decide(index + raid + self.comments // 500, Purged(user_id=raiding))
            elif raiding and index - self.raids[int(raiding[7:])] >= raid:
                raiding = ""
            comment = self._comment(index, raiding)
            yield self._logged(comment, f"{self.stream_id}:{index}")
            self.seqs.append(self._last)
            self.times.append(self._at_ms)
            fate = 1.0 if raiding else self._chance.random() / 0.96
            if fate < 0.04:
                self._remove(index + self._chance.randint(1, 200), comment)
            elif fate < 0.06:
                swept.append(comment.comment_id)
            yield from self._due(index)
            if index + 1 in self.sweeps:
                for comment_id in swept:
                    yield self._logged(Removed(comment_id=comment_id, reason="moderator"), f"remove:{comment_id}")
                swept = []
        yield from self._due(2 * self.comments)

    def _remove(self, index: int, comment: Comment) -> None:
        self._decide(index, Removed(comment_id=comment.comment_id, reason=self._chance.choice(("author", "moderator"))))
        if self._chance.random() < 0.02:
            self._decide(index + 100, Restored(comment=comment))

    def _decide(self, index: int, item: Item) -> None:
        heapq.heappush(self._later, (index, next(self._turns), item))

    def _due(self, index: int) -> Iterator[LoggedItem]:
        while self._later and self._later[0][0] <= index:
            item = heapq.heappop(self._later)[2]
            yield self._logged(item, f"{type(item).__name__}:{self._seq}")

    def _comment(self, index: int, raider: str) -> Comment:
        user = raider or f"user-{self._chance.randrange(20_000)}"
        return Comment(
            comment_id=str((self._at_ms << 22) + index % 4096),
            user=User(id=user, name=f"Somebody {user[-5:]}"),
            text=" ".join(self._chance.choices(WORDS, k=self._chance.randint(2, 30))),
            created_at=rfc3339(self._at_ms),
        )

    def _logged(self, item: Item, key: str) -> LoggedItem:
        self._last = self._seq
        # Other streams share the log.
        self._seq += self._chance.randint(1, 3)
        return LoggedItem(
            log=LOG,
            stream_id=self.stream_id,
            seq=self._last,
            at_ms=self._at_ms,
            payload=codec.encode(item),
            item=item,
            msg_id=key,
        )
