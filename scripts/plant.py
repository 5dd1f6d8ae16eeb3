"""Plant bugs, one at a time, and see that a test catches each. The list is also docs/testing.md's.

    .venv/bin/python scripts/plant.py                 all of them, in a copy of the tree
    .venv/bin/python scripts/plant.py --list          what would be planted, as the table of docs/testing.md
    .venv/bin/python scripts/plant.py cutover msg-id  some of them

Exits with 1 when a bug survives, or when the text it replaces is no longer in the code.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Bug(NamedTuple):
    """One deliberate mistake: *old* becomes *new* in *file*, and *test* must fail."""

    name: str
    what: str
    file: str
    old: str
    new: str
    test: str


BUGS = [
    Bug(
        "cutover",
        "off by one where replay meets live: what is read from the history begins one too late",
        "gateway/fanout/backlog.py",
        "audience.history.range(audience.record, after, until, READ",
        "audience.history.range(audience.record, after + 1, until, READ",
        "tests/integration/test_fanout.py",
    ),
    Bug(
        "msg-id",
        "the Msg-Id does not name the stream: the same key in two streams is one comment",
        "schemas/subjects.py",
        'f"{stream_id}\\0{user_id}\\0{key}"',
        'f"{user_id}\\0{key}"',
        "tests/integration/test_api_comments.py",
    ),
    Bug(
        "control-id",
        "an id on a control event: a resume skips what lies between",
        "gateway/fanout/sse.py",
        'return b\'event: gap\\ndata: {"from"',
        'return b\'id: 9\\nevent: gap\\ndata: {"from"',
        "tests/unit/gateway/fanout/test_sse.py",
    ),
    Bug(
        "swapped-windows",
        "the ring hands out two windows in the wrong order",
        "gateway/fanout/ring.py",
        "return self._windows[first : first + limit]",
        "return self._windows[first : first + limit][::-1]",
        "tests/unit/gateway/fanout/test_ring.py",
    ),
    Bug(
        "ack-before-commit",
        "the archive acknowledges before the store has committed",
        "workers/worker.py",
        "await self._settle(batch, await self._handle(batch))",
        "await self._pull.ack(batch); await self._settle(batch, await self._handle(batch))",
        "tests/integration/test_archive.py",
    ),
    Bug(
        "watermark-hole",
        "a delivery that never came is not noticed: the watermark passes a hole",
        "workers/archive/watermark.py",
        "if self._next is not None and delivery.delivery != self._next:",
        "if False:",
        "tests/unit/workers/archive",
    ),
    Bug(
        "removal-order",
        "a restore undoes removals that come after it",
        "infra/sqlite/batch.py",
        "if max(removed_at, purged_at) <= (restored_seq or 0):",
        "if restored_seq:",
        "tests/contract/test_sqlite_comment_store.py",
    ),
    Bug(
        "feed-prev",
        "the feed's own header is believed: a lost message is not looked for",
        "gateway/fanout/windower.py",
        "if self.behind or message.last_seq > self.last:",
        "if self.behind:",
        "tests/unit/gateway/fanout/test_windower.py",
    ),
    Bug(
        "removed-in-ring",
        "a removal does not rewrite the ring: a resume shows the removed text",
        "gateway/fanout/audience.py",
        "self.ring.rewrite(windower.reason_of)",
        "pass",
        "tests/integration/test_fanout.py",
    ),
    Bug(
        "limit-fails-open",
        "a limiter that cannot answer lets everybody pass",
        "infra/jetstream/limits.py",
        '            await self._publisher.publish(subject, b"", msg_id)\n',
        '            try:\n                await self._publisher.publish(subject, b"", msg_id)\n'
        "            except Exception:\n                return\n",
        "tests/integration/test_limits.py",
    ),
    Bug(
        "lease-outlived",
        "ids go on after the lease may have passed to somebody else",
        "infra/jetstream/leases.py",
        "self._held_until, self._ceiling_ms = asked + TTL_S / 2, ceiling\n            log",
        "self._held_until, self._ceiling_ms = asked + TTL_S * 20, ceiling\n            log",
        "tests/integration/test_leases.py",
    ),
    Bug(
        "lagging-replica",
        "a read ends where the answering replica ends, not at the known tail",
        "gateway/fanout/windower.py",
        "self.wanted = max(self.wanted, tail)\n        return not self.behind",
        "return True",
        "tests/unit/gateway/fanout/test_windower.py",
    ),
    Bug(
        "silent-expiry",
        "what the log no longer has is skipped without a gap",
        "gateway/history.py",
        'return Missing(lost_from, lost_to, "expired") if lost_from <= lost_to else None',
        "return None",
        "tests/e2e/test_viewers.py",
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
        "own-frame",
        "a viewer whose own frame has to wait in the middle of a flush goes on after the window it was not written",
        "gateway/fanout/audience.py",
        "self._flushed_from if self._sender.awaits(viewer) else self.position",
        "self.position",
        "tests/integration/test_sockets.py",
    ),
    Bug(
        "stale-join",
        "a WebSocket's earlier join, which took longer, is carried out after a later one",
        "gateway/fanout/office.py",
        "if connection.joins != join or connection.lost or connection.closing:",
        "if connection.lost:",
        "tests/e2e/test_sockets.py",
    ),
    Bug(
        "early-ack",
        "a post over WebSocket is acknowledged before it is durable",
        "gateway/fanout/office.py",
        "            comment = await self._commands.post(connection.principal, command)\n",
        '            early = Ack(idempotency_key=command.idempotency_key, comment_id=None, seq=None, status="accepted")\n'
        "            connection.say(early)\n"
        "            comment = await self._commands.post(connection.principal, command)\n",
        "tests/e2e/test_socket_commands.py",
    ),
    Bug(
        "type-3-delta",
        "an RTMP type 3 chunk that begins a message does not repeat the delta: audio runs slow",
        "workers/media/rtmp/chunks.py",
        "else (stream.timestamp + stream.delta) & _WRAP",
        "else (stream.timestamp + (stream.delta if header.field is not None else 0)) & _WRAP",
        "tests/unit/workers/media/test_chunks.py",
    ),
    Bug(
        "epoch-joiner",
        "who joins in the middle of an epoch is given blocks that refer to what it never had",
        "gateway/fanout/lane.py",
        "(self.running if self._epoch is None else self.joining).add(viewer)",
        "self.running.add(viewer)",
        "tests/unit/gateway/fanout/test_lane.py",
    ),
    Bug(
        "reused-descriptor",
        "a flush under way writes to a descriptor that has become another viewer's",
        "gateway/fanout/sender.py",
        "            if roll.gone:\n",
        "            if False:\n",
        "tests/unit/gateway/fanout/test_sender.py",
    ),
    Bug(
        "rest-of-a-write",
        "the rest of a write that fell short is thrown away: half a frame, then the next",
        "gateway/fanout/audience.py",
        "viewer.write(memoryview(data)[took:] if took else data)",
        'viewer.write(b":\\n\\n")',
        "tests/integration/test_fanout.py",
    ),
    Bug(
        "one-cohort",
        "all cohorts are shown the same sample",
        "gateway/fanout/sampling.py",
        'f"{comment_id}.{cohort}"',
        'f"{comment_id}"',
        "tests/unit/gateway/fanout/test_sampling.py",
    ),
    Bug(
        "sampled-creator",
        "the creator is sampled away like anyone else",
        "gateway/fanout/sampling.py",
        '{"creator", "moderator", "admin"}.isdisjoint(badges)',
        '{"moderator", "admin"}.isdisjoint(badges)',
        "tests/unit/gateway/fanout/test_sampling.py",
    ),
    Bug(
        "left-over",
        "a window that could not hold everything claims the whole range: what was left over is behind every resume",
        "gateway/fanout/windower.py",
        "to = taken[-1].seq if self._pending else self.last",
        "to = self.last",
        "tests/unit/gateway/fanout/test_windower.py",
    ),
    Bug(
        "refilled-ring",
        "windows put before the ring lack their first item",
        "gateway/fanout/backlog.py",
        "audience.refill(_windows(floor, until, items,",
        "audience.refill(_windows(floor, until, items[1:],",
        "tests/integration/test_fanout.py",
    ),
    Bug(
        "tail-off-by-one",
        "a tail check asks for one seq too late: a lost last message stays lost",
        "infra/jetstream/reader.py",
        '"multi_last": part, "seq": after + 1',
        '"multi_last": part, "seq": after + 2',
        "tests/integration/test_jetstream_rules.py",
    ),
    Bug(
        "flapping-row",
        "a crowd at a threshold makes the policy's row change every second",
        "gateway/fanout/degradation.py",
        "DOWN = 0.8",
        "DOWN = 1.0",
        "tests/unit/gateway/fanout/test_degradation.py",
    ),
]


def plant(bug: Bug, tree: Path) -> str | None:
    """Plant one bug in *tree*, run its test, and mend it; what went wrong, or `None` when the test caught it."""
    path = tree / bug.file
    text = path.read_text()
    if not bug.old or text.count(bug.old) != 1:
        return f"the text to replace stands {text.count(bug.old) if bug.old else 0} times in {bug.file}"
    path.write_text(text.replace(bug.old, bug.new))
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", bug.test],
            cwd=tree,
            # The processes that tests start must run the planted tree, not the installed one.
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    finally:
        path.write_text(text)
    if run.returncode == 1:
        return None
    return f"pytest ended with {run.returncode}:\n{run.stdout[-1500:]}{run.stderr[-500:]}"


def copy_tree(target: Path) -> None:
    """Copy what git knows, and what it does not ignore, to *target*."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="bugs to plant; all when none is named")
    parser.add_argument("--list", action="store_true", help="print the list and plant nothing")
    options = parser.parse_args()
    chosen = [bug for bug in BUGS if not options.names or bug.name in options.names]
    if options.list:
        for bug in chosen:
            print(f"| `{bug.name}` | {bug.what} | `{bug.file}` | `{bug.test}` |")
        return 0
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        for bug in chosen:
            fault = plant(bug, Path(folder))
            survived += fault is not None
            print(f"{'caught  ' if fault is None else 'SURVIVED'} {bug.name}: {bug.what}", flush=True)
            if fault:
                print(fault, flush=True)
    print(f"{len(chosen) - survived} passed, {survived} failed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
