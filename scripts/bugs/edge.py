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
    Bug(
        "forgiving-look",
        "a post that asks something of HTTP is read in one look all the same: a chunked body, an end of its connection",
        "gateway/fanout/plain.py",
        "    if not _ASKS.isdisjoint(headers):",
        "    if False:",
        "tests/unit/gateway/fanout/test_plain.py",
    ),
    Bug(
        "reset-in-the-queue",
        "a gateway that ends closes its socket on those who wait in the queue: they are reset, request and all",
        "gateway/edge/acceptor.py",
        "            if not self._turn():",
        "            if True:",
        "tests/integration/test_ending.py",
    ),
    Bug(
        "cut-in-admission",
        "a gateway that ends cuts viewers whose stream is still being looked for",
        "gateway/fanout/doorway.py",
        "            self._keep(answering)",
        "            pass",
        "tests/integration/test_ending.py",
    ),
    Bug(
        "slow-leaver",
        "who may not watch any more keeps its place for as long as it takes a byte now and then",
        "gateway/fanout/viewer.py",
        "        if self.transport.get_write_buffer_size():",
        "        if False:",
        "tests/integration/test_viewer_limits.py",
    ),
    Bug(
        "asked-at-once",
        "who is forbidden to accept asks again and again, and does nothing else",
        "gateway/edge/accepting.py",
        "broken[-1] if len(broken) == most else None",
        "None",
        "tests/unit/gateway/edge/test_accepting.py",
    ),
    Bug(
        "table-grows",
        "the table of descriptors grows with the connections: each doubling holds everybody up",
        "gateway/edge/descriptors.py",
        "    _make_room(min(",
        "    (min(",
        "tests/unit/gateway/edge/test_descriptors.py",
    ),
]
