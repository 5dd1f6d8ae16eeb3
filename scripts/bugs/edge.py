"""The deliberate mistakes at a gateway's door: connections and requests."""

from scripts.bugs.bug import Bug

EDGE = [
    Bug(
        "refused-out-of-turn",
        "what is no HTTP is refused before the requests ahead of it are answered",
        "gateway/edge/protocol.py",
        "if self._asked and not self.cycle.more_body:",
        "if False:",
        "tests/integration/test_posting.py",
    ),
    Bug(
        "turn-not-waited-for",
        "a pipelined post is answered before the request ahead of it",
        "gateway/exchange.py",
        "if self._answering or not self._turn or self.disconnected:",
        "if self._answering or self.disconnected:",
        "tests/integration/test_posting.py",
    ),
    Bug(
        "unasked-cut",
        "at the end a connection is closed although its request is on its way",
        "gateway/edge/protocol.py",
        "elif self.since is not None or self._answered_just_now():",
        "elif False:",
        "tests/integration/test_edge.py",
    ),
    Bug(
        "left-most",
        "the client is whoever stands first in X-Forwarded-For, which the client wrote itself",
        "gateway/edge/forwarded.py",
        'reversed(said.split(","))',
        'said.split(",")',
        "tests/unit/gateway/edge",
    ),
    Bug(
        "said-too-early",
        "what had come with a connection is lost where that moves to the loop's own transport at once",
        "gateway/edge/acceptor.py",
        "if data:",
        "if data and not line.is_closing():",
        "tests/integration/test_queued.py",
    ),
    Bug(
        "left-waiting",
        "a line that is closed drops what its peer has not taken yet",
        "gateway/edge/lines.py",
        """        if self._waiting:
            self._lines.change(self.fd, select.EPOLLOUT)
        else:
            self._end(None)""",
        "        self._end(None)",
        "tests/integration/test_lines.py",
    ),
    Bug(
        "forgiving-door",
        "a request with a body is read as a viewer's: what follows its head is nobody's",
        "gateway/fanout/doorway.py",
        "if not _MORE.isdisjoint([name for name, _ in headers]):",
        "if False:",
        "tests/unit/gateway/fanout/test_doorway.py",
    ),
]
