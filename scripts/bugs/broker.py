"""The deliberate mistakes about the logs: ids, limits, counters and reads."""

from scripts.bugs.bug import Bug

BROKER = [
    Bug(
        "msg-id",
        "the Msg-Id does not name the stream: the same key in two streams is one comment",
        "schemas/subjects.py",
        'f"{stream_id}\\0{user_id}\\0{key}"',
        'f"{user_id}\\0{key}"',
        "tests/integration/test_api_comments.py",
    ),
    Bug(
        "limit-fails-open",
        "a limiter that cannot answer lets everybody pass",
        "infra/jetstream/limits.py",
        '            ack = await self._publisher.publish(subject, b"", token, headers)\n',
        '            try:\n                ack = await self._publisher.publish(subject, b"", token, headers)\n'
        "            except Unavailable:\n                return\n",
        "tests/integration/test_limits.py",
    ),
    Bug(
        "one-too-many",
        "a limit's log holds one token more than the limit",
        "infra/jetstream/topology.py",
        'values[f"limit_{name}_count"] = limit.count',
        'values[f"limit_{name}_count"] = limit.count + 1',
        "tests/integration/test_limits.py",
    ),
    Bug(
        "half-a-message",
        "what a connection left half-said is read on in the next one",
        "infra/jetstream/wire.py",
        "        self._rest.clear()\n        self._needed = 0\n        self._resets",
        "        self._resets",
        "tests/unit/infra/jetstream/test_wire.py",
    ),
    Bug(
        "neighbours-time",
        "a comment is given the time of the one before it",
        "infra/jetstream/moments.py",
        "self._wanted.pop(int(seq), ())",
        "self._wanted.pop(int(seq) + 1, ())",
        "tests/integration/test_moments.py",
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
        "forgotten-addition",
        "a counter keeps its newest message alone: after a crash an addition is counted twice",
        "nats/logs/COUNTS_{shard}.json",
        '"max_msgs_per_subject": 8',
        '"max_msgs_per_subject": 1',
        "tests/integration/test_counters.py",
    ),
    Bug(
        "new-id",
        "an addition to a counter has no Msg-Id: one whose answer was lost fails or is counted twice",
        "infra/jetstream/counters.py",
        'b"", msg_id, {"Nats-Incr"',
        'b"", None, {"Nats-Incr"',
        "tests/integration/test_reactions.py",
    ),
    Bug(
        "last-total",
        "the last value told of a counter wins: totals go back when pulses cross",
        "infra/jetstream/tally.py",
        "if value > mine.get(part, 0):",
        "if value != mine.get(part, 0):",
        "tests/unit/infra/test_tally.py",
    ),
    Bug(
        "tail-off-by-one",
        "a tail check asks for one seq too late: a lost last message stays lost",
        "infra/jetstream/reader.py",
        '"multi_last": part, "seq": after + 1',
        '"multi_last": part, "seq": after + 2',
        "tests/integration/test_jetstream_rules.py",
    ),
]
