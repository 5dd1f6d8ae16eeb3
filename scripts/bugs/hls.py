"""The deliberate mistakes between viewers and the media worker."""

from scripts.bugs.bug import Bug

_TEST = "tests/hls/test_relay.py::"
_ANSWERS = "tests/hls/test_answers.py::"

HLS = [
    Bug(
        "asked-by-each",
        "every viewer's request for the same part goes to the media worker",
        "gateway/hls/relay.py",
        "        if fetch is not None:\n            metrics",
        "        if False:\n            metrics",
        f"{_TEST}test_a_worker_is_asked_once_however_many_wait",
    ),
    Bug(
        "kept-reload",
        "the answer of a blocked reload is kept for seconds: video.js stands still",
        "gateway/hls/relay.py",
        "FRESH_S = 0.1",
        "FRESH_S = 5.0",
        f"{_TEST}test_who_asks_again_hears_the_newest",
    ),
    Bug(
        "gone-with-its-worker",
        "a playlist is gone as soon as its worker is: players end",
        "gateway/hls/relay.py",
        '            if not place.blocks or left <= 0:\n                return last, "frozen"',
        '            if not place.blocks or left <= 0:\n                return MISSING, "missing"',
        f"{_TEST}test_the_last_playlist_stays_while_nobody_owns_the_stream",
    ),
    Bug(
        "waited-for-the-stopped",
        "a worker that lost the stream while it was asked is waited for",
        "gateway/hls/relay.py",
        "waiting: set[asyncio.Future[Any]] = {asking, moved}",
        "waiting: set[asyncio.Future[Any]] = {asking}",
        f"{_TEST}test_a_worker_that_lost_the_stream_is_not_believed",
    ),
    Bug(
        "kept-404",
        "that a part is not there is remembered: it never comes",
        "gateway/hls/relay.py",
        '                return said or (AWAY if gone else MISSING), "away" if gone else "missing"',
        '                self._shelf.put(place, said or MISSING, 60.0)\n                return said or MISSING, "missing"',
        f"{_TEST}test_a_part_that_is_not_there_yet_is_asked_for_again",
    ),
    Bug(
        "part-of-a-playlist",
        "a delta update is kept as the last playlist, which has to be whole",
        "gateway/hls/relay.py",
        "        if place.skips:\n",
        "        if False:\n",
        f"{_TEST}test_players_that_skip_leave_a_whole_playlist_behind",
    ),
    Bug(
        "back-in-time",
        "a plain reload is answered with a playlist older than one that has passed by",
        "gateway/hls/relay.py",
        "        self._shelf.drop(place.plain)\n",
        "",
        f"{_TEST}test_a_plain_reload_is_never_older_than_what_has_passed",
    ),
    Bug(
        "private-in-public",
        "caches between may keep what only some may watch",
        "gateway/hls/reply.py",
        "        if wanted.private:\n",
        "        if False:\n",
        f"{_ANSWERS}test_who_may_not_watch_sees_nothing",
    ),
    Bug(
        "short-range",
        "a range request lacks its last byte",
        "gateway/hls/reply.py",
        "self.body[first : last + 1]",
        "self.body[first:last]",
        f"{_ANSWERS}test_ranges_head_and_cors",
    ),
]
