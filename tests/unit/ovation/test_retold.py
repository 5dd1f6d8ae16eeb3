"""What nats-server prints is JSON in its log, like everybody's."""

import json

from ovation.retold import MOST, Retold

SAID = b"[7] 2026/11/21 21:08:49.117509 [INF]   Version:  2.15.1\n[7] 2026/11/21 21:08:50.000001 [WRN] slow\nno form\n"


def test_lines_are_told_as_json_however_they_are_cut() -> None:
    """With a level and a time of their own; what has no form is told as it is."""
    for size in (1, 7, len(SAID)):
        retold = Retold("nats")
        said = b"".join(retold.take(SAID[at : at + size]) for at in range(0, len(SAID), size))
        lines = [json.loads(line) for line in said.splitlines()]

        assert [(line["level"], line["event"]) for line in lines] == [
            ("info", "Version:  2.15.1"),
            ("warning", "slow"),
            ("info", "no form"),
        ]
        assert all(line["process"] == "nats" and line["timestamp"].endswith("Z") for line in lines)


def test_a_line_without_an_end_is_told_in_pieces() -> None:
    """Nothing is kept for ever, and no credential is told."""
    retold = Retold("nats")
    assert retold.take(b"x" * MOST) == b""
    assert len(json.loads(retold.take(b"x"))["event"]) == MOST + 1
    assert b"secret" not in retold.take(b"?ticket=secret\n")
    assert retold.take(b"\n") == b""
