"""What must not be shown again: the decisions on one stream's comments, whatever order they are learned in."""

from collections.abc import Iterable, Mapping

from schemas.items import Item, Purged, Removed, Restored


class Removals:
    """Decisions that the store's rows may not tell yet. Of two on one comment the one with the higher seq holds."""

    def __init__(self, since: int = 0) -> None:
        """*since*: all that was decided above this seq is to be learned here; what was before, rows tell."""
        self.since = since
        self._decisions: dict[str, tuple[int, str | None]] = {}
        self._purges: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Whether anything was decided."""
        return bool(self._decisions or self._purges)

    def __len__(self) -> int:
        return len(self._decisions) + len(self._purges)

    def learn(self, item: Item, seq: int) -> None:
        """Take note of an item; all but removals, restorations and purges are ignored."""
        match item:
            case Removed(comment_id=comment_id, reason=reason):
                self._decide(comment_id, seq, reason)
            case Restored(comment=comment):
                self._decide(comment.comment_id, seq, None)
            case Purged(user_id=user_id):
                self._purges[user_id] = max(seq, self._purges.get(user_id, 0))

    def absorb(self, older: "Removals") -> None:
        """Take over what *older* knows, all at once: half of it might hide what the other half restores."""
        decisions, purges = older.all
        for comment_id, (seq, reason) in decisions.items():
            self._decide(comment_id, seq, reason)
        for user_id, seq in purges.items():
            self._purges[user_id] = max(seq, self._purges.get(user_id, 0))
        self.since = min(self.since, older.since)

    @property
    def all(self) -> tuple[Mapping[str, tuple[int, str | None]], Mapping[str, int]]:
        """The last decision on each comment, and the last purge of each person, each with its seq."""
        return self._decisions, self._purges

    def reason(self, comment_id: str, author_id: str, seq: int) -> str | None:
        """Why the comment posted at *seq* is not shown; `None` when it is."""
        decided, reason = self._decisions.get(comment_id, (0, None))
        purged = self._purges.get(author_id, 0)
        if purged > seq and purged > decided:
            return "purged"
        return reason

    def decided(self, comment_id: str) -> bool:
        """Whether anything was ever decided on the comment itself."""
        return comment_id in self._decisions

    def standing(self, comment_id: str, author_id: str, seq: int, stored: str | None) -> str | None:
        """Why it is not shown, given what is *stored* of it: a decision that is known here is newer and overrules that."""
        reason = self.reason(comment_id, author_id, seq)
        return stored if reason is None and not self.decided(comment_id) else reason

    @property
    def comment_ids(self) -> Iterable[str]:
        """The comments that anything was decided on, each by itself."""
        return self._decisions.keys()

    @property
    def any_purged(self) -> bool:
        """Whether all of somebody's comments are gone."""
        return bool(self._purges)

    def _decide(self, comment_id: str, seq: int, reason: str | None) -> None:
        if seq >= self._decisions.get(comment_id, (0, None))[0]:
            self._decisions[comment_id] = (seq, reason)
