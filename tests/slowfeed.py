"""The feed of the gateways in a test's process, which may be late, or lose what it brings."""

import pytest

from gateway.fanout.follower import Follower
from infra.jetstream.feed import FeedMessage


class SlowFeed:
    """Make it before the first stream is followed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        #: Whether what comes waits for `let_go`, which may never be.
        self.holds = False
        self._held: list[tuple[Follower, FeedMessage]] = []
        self._take = Follower._take  # noqa: SLF001 - what the feed calls

        def come(follower: Follower, message: FeedMessage) -> None:
            self._come(follower, message)

        # A function, which becomes a method of each follower.
        monkeypatch.setattr(Follower, "_take", come)

    def let_go(self) -> None:
        """Bring what was held, and hold nothing any more."""
        self.holds = False
        for follower, message in self._held:
            self._take(follower, message)

    def _come(self, follower: Follower, message: FeedMessage) -> None:
        if self.holds:
            self._held.append((follower, message))
        else:
            self._take(follower, message)
