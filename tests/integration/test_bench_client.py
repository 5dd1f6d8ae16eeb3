"""The load generator finds what is wrong with a server: figures of a benchmark are worth as much as this."""

import gzip
import itertools
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from bench.client import Client, Report
from gateway.fanout import sse
from gateway.fanout.deflate import GZIP_HEADER, Epoch
from schemas.codec import splice
from schemas.times import rfc3339

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
VIEWERS = 3
NOON_MS = 1_800_000_000_000


def frame(prev: int, to: int, *seqs: int) -> bytes:
    """A delivery of `prev < seq <= to` with these items, all of the range when none are named."""
    items = [
        splice(
            b'{"type":"comment","text":"t=1800000000000000 n=%09d","created_at":"%b"}' % (seq, rfc3339(NOON_MS).encode()),
            seq,
            0,
        )
        for seq in seqs or range(prev + 1, to + 1)
    ]
    return sse.comments(prev, to, items)


GOOD = [frame(10, 12), frame(12, 13), frame(13, 16), frame(16, 17)]


GZIP_HEAD = HEAD + b"content-encoding: gzip\r\n\r\n" + GZIP_HEADER


def packed(frames: list[bytes], windows: int = 2) -> list[bytes]:
    """*frames* in epochs of so many *windows*."""
    out: list[bytes] = []
    for number, each in enumerate(frames):
        if number % windows == 0:
            epoch = Epoch(0.0)
        out.append(epoch.pack(each))
    return out


class Pieces:
    """A server that sends *pieces* (*second* to its second client), each in a segment of its own, and waits."""

    def __init__(self, pieces: list[bytes], second: list[bytes] | None = None) -> None:
        self._pieces = pieces
        self._second = second or pieces
        self._numbers = itertools.count()
        self._let = 0
        self._more = threading.Condition()

    def let(self, count: int) -> None:
        """Let the first *count* pieces go."""
        with self._more:
            self._let = count
            self._more.notify_all()

    @contextmanager
    def served(self) -> Iterator[int]:
        """Its port."""
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(4096)
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                outer.send(self.request)

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            try:
                yield server.server_address[1]
            finally:
                self.let(-1)
                server.shutdown()

    def send(self, client: socket.socket) -> None:
        """Serve one client to the end."""
        for number, piece in enumerate(self._second if next(self._numbers) == 1 else self._pieces):
            self._wait(number)
            client.sendall(piece)
        self._wait(sys.maxsize)

    def _wait(self, number: int) -> None:
        with self._more:
            self._more.wait_for(lambda: self._let < 0 or self._let > number, 30)


def watched(pieces: list[bytes], frames: int, second: list[bytes] | None = None, **options: object) -> Report:
    """What three viewers make of *pieces*, which hold so many *frames*; the second one gets *second*, if any."""
    server = Pieces(pieces, second)
    server.let(len(pieces) + len(second or ()))
    with (
        server.served() as port,
        Client(1, port=port, path="/", viewers=VIEWERS, dense=True, **options) as client,
    ):
        client.open(positioned=False)
        return client.until(lambda report: report.windows == VIEWERS * frames, "all frames arrive")


def test_an_unbroken_chain_has_no_violations() -> None:
    """Every item of every viewer is counted, and all are complete."""
    report = watched([HEAD + b"\r\n" + sse.retry(1500), *GOOD, sse.HEARTBEAT], 4)

    assert report.violations.total == 0
    assert (VIEWERS * 7, VIEWERS, 17, 17) == (report.items, report.complete, report.oldest, report.max_to)


@pytest.mark.parametrize(
    ("name", "frames", "found"),
    [
        ("a delivery is left out", [GOOD[0], GOOD[2], GOOD[3]], {"chain": 1, "missing": 1}),
        ("a delivery comes twice", [GOOD[0], GOOD[1], GOOD[1], GOOD[2]], {"chain": 1, "repeated": 1}),
        ("two deliveries change places", [GOOD[0], GOOD[2], GOOD[1], GOOD[3]], {"chain": 2, "missing": 1, "repeated": 1}),
        ("an item is left out", [GOOD[0], GOOD[1], frame(13, 16, 14, 16)], {"missing": 1}),
        ("two items change places", [GOOD[0], GOOD[1], frame(13, 16, 15, 14, 16)], {"disorder": 1}),
        ("an item comes twice", [GOOD[0], frame(12, 13, 13, 13)], {"disorder": 1}),
        ("an item is from outside its range", [GOOD[0], frame(12, 13, 12)], {"disorder": 1}),
        ("an id is not its range's end", [GOOD[0], GOOD[1].replace(b"id: 13", b"id: 14")], {"mislabelled": 1}),
        ("a gap is told", [GOOD[0], sse.gap(13, 13, "expired"), GOOD[2]], {"gaps": 1, "gap_seqs": 1}),
        ("a viewer is sent away", [b"event: busy\ndata: {}\n\n", GOOD[0]], {"busy": 1}),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_planted_is_found(name: str, frames: list[bytes], found: dict[str, int], compressed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """On every connection, compressed or not, and nothing else is found."""
    deliveries = sum(each.startswith(b"id:") for each in frames)
    head = GZIP_HEAD if compressed else HEAD + b"\r\n"

    report = watched([head, *(packed(frames) if compressed else frames)], deliveries, gzip=compressed)

    wrong = report.violations
    assert {key: count * VIEWERS for key, count in found.items()} == {
        key: getattr(wrong, key) for key in wrong.__struct_fields__ if getattr(wrong, key)
    }, name


def test_one_viewer_who_gets_something_else_is_seen_among_others() -> None:
    """Frames of one length that begin alike are told apart by their last item."""
    wrong = frame(13, 16, 14, 15, 15)
    assert len(wrong) == len(GOOD[2])

    report = watched([HEAD + b"\r\n", *GOOD], 4, second=[HEAD + b"\r\n", GOOD[0], GOOD[1], wrong, GOOD[3]])

    assert (1, 1, 1, VIEWERS - 1) == (report.violations.total, report.violations.disorder, report.bad, report.complete)


def test_frames_cut_anywhere_are_the_same_frames() -> None:
    """A byte at a time, in chunks of HTTP/1.1, and deflated: the same items and no violation."""
    plain = b"".join([sse.retry(1500), *GOOD, sse.HEARTBEAT])
    bytewise = [plain[i : i + 1] for i in range(len(plain))]
    chunks = [b"%x\r\n%b\r\n" % (len(plain[i : i + 7]), plain[i : i + 7]) for i in range(0, len(plain), 7)]
    packed = gzip.compress(plain)

    for head, pieces in (
        (b"\r\n", bytewise),
        (b"transfer-encoding: chunked\r\n\r\n", chunks),
        (b"content-encoding: gzip\r\n\r\n", [packed[:20], packed[20:-8]]),
    ):
        report = watched([HEAD + head, *pieces], 4, gzip="gzip" in head.decode())
        assert (VIEWERS * 7, VIEWERS, 0) == (report.items, report.complete, report.violations.total), head


def test_compressed_windows_are_recognised_only_in_the_state_they_were_made_for() -> None:
    """One viewer gets an epoch's second window without its first: what the same bytes are to others says nothing of it."""
    ours = packed(GOOD, windows=4)
    server = Pieces([GZIP_HEAD, *ours], [GZIP_HEAD, *packed([sse.HEARTBEAT]), *ours[1:]])
    server.let(1)

    with server.served() as port, Client(1, port=port, path="/", viewers=VIEWERS, dense=True, gzip=True) as client:
        client.open(positioned=False)
        for pieces, to in enumerate((12, 13, 16, 17), 2):
            server.let(pieces)
            done = client.until(partial(_reached, to), "all but one have the window")

    assert done.violations.total > 0
    assert (1, VIEWERS - 1) == (done.bad, done.complete)


def _reached(to: int, report: Report) -> bool:
    return report.max_to == to and report.complete >= VIEWERS - 1


def test_compressed_windows_cut_anywhere_are_the_same_windows() -> None:
    """One viewer gets every byte by itself and is complete, like the others."""
    ours = packed(GOOD)
    cut = b"".join(ours)

    report = watched([GZIP_HEAD, *ours], 4, second=[GZIP_HEAD, *(cut[i : i + 1] for i in range(len(cut)))], gzip=True)

    assert (VIEWERS * 7, VIEWERS, 0) == (report.items, report.complete, report.violations.total)
