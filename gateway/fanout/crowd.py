"""One stream's people in this gateway: who has how many connections, and the sample that is told of them."""

from gateway.fanout.sketch import Group, smallest

#: The person of a connection without a credential.
ANONYMOUS = 0


class Crowd:
    """Joining and leaving touch one dictionary entry; the sample is made when it is told, not when somebody comes."""

    __slots__ = ("_group", "anonymous", "outdated", "people", "sampled_at", "told_at", "untold")

    def __init__(self) -> None:
        self.anonymous = 0
        #: person -> connections; about 100 bytes a person.
        self.people: dict[int, int] = {}
        #: When something was last told of it, in seconds.
        self.told_at = float("-inf")
        #: When the sample was made, and whether it has not been told yet.
        self.sampled_at = float("-inf")
        self.untold = True
        #: Whether somebody came or went since the sample was made.
        self.outdated = True
        self._group = Group(0, b"")

    def join(self, person: int) -> bool:
        """Add a connection; whether it is somebody new."""
        if person == ANONYMOUS:
            self.anonymous += 1
            return True
        connections = self.people.get(person, 0)
        self.people[person] = connections + 1
        if connections:
            return False
        self.outdated = True
        return True

    def leave(self, person: int) -> bool:
        """Take a connection away; whether somebody left with it."""
        if person == ANONYMOUS:
            self.anonymous -= 1
            return True
        connections = self.people[person]
        if connections > 1:
            self.people[person] = connections - 1
            return False
        del self.people[person]
        self.outdated = True
        return True

    @property
    def empty(self) -> bool:
        """Whether nobody is there."""
        return not (self.anonymous or self.people)

    def group(self, k: int, now: float, sample_s: float) -> Group:
        """The people and their sample: up to *k* people all of them, above one that is at most *sample_s* seconds old."""
        count, former = len(self.people), self._group
        if self.outdated and (count <= k or former.complete or now - self.sampled_at >= sample_s):
            self._group = Group(count, smallest(self.people, k))
            self.sampled_at, self.outdated, self.untold = now, False, True
        elif count != former.people:
            self._group = Group(count, former.sample)
        return self._group
