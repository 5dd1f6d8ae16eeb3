"""The subject grammar: every subject and log name is built here and nowhere else.

Tokens are checked when they are built, so that no request can smuggle a wildcard or a dot into a subject.
"""

import hashlib
import re
import zlib
from functools import lru_cache

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")


def _token(text: str) -> str:
    if _TOKEN.fullmatch(text) is None:
        msg = f"{text[:40]!r} cannot be a subject token: letters, digits, - and _ only"
        raise ValueError(msg)
    return text


def shard_of(stream_id: str, shards: int) -> int:
    """Choose the shard (0 to *shards* - 1) of a new stream. An existing one's is pinned in its record."""
    return zlib.crc32(stream_id.encode()) % shards


@lru_cache(maxsize=1024)
def live(shard: int, stream_id: str) -> str:
    """`live.<shard>.<stream_id>`: the durable items of one stream."""
    return f"live.{shard}.{_token(stream_id)}"


def all_live(shard: int) -> str:
    """`live.<shard>.*`: every stream of a shard."""
    return f"live.{shard}.*"


def live_log(shard: int) -> str:
    """`LIVE_<shard>`: the log that holds a shard's live subjects."""
    return f"LIVE_{shard}"


def feed(shard: int, stream_id: str) -> str:
    """`feed.<shard>.<stream_id>`: the republished copy on core NATS."""
    return f"feed.{shard}.{_token(stream_id)}"


def pulse(shard: int, stream_id: str) -> str:
    """`pulse.<shard>.<stream_id>`: ephemeral numbers on core NATS."""
    return f"pulse.{shard}.{_token(stream_id)}"


def presence(gateway: str) -> str:
    """`presence.<gateway>`: one gateway's viewers, as they change, on core NATS."""
    return f"presence.{_token(gateway)}"


def count(shard: int, stream_id: str, name: str, part: int) -> str:
    """`count.<shard>.<stream_id>.<name>.<part>`: one part of one counter."""
    return f"count.{shard}.{_token(stream_id)}.{_token(name)}.{part}"


def counts(shard: int, stream_id: str) -> str:
    """`count.<shard>.<stream_id>.>`: all parts of all counters of a stream."""
    return f"count.{shard}.{_token(stream_id)}.>"


def parse_count(subject: str) -> tuple[str, int]:
    """Take a counter's subject apart into (name, part); part -1 is the undivided subject that older versions wrote.

    Raises:
        ValueError: when *subject* is no counter's.
    """
    match subject.split("."):
        case ["count", _, _, name]:
            return name, -1
        case ["count", _, _, name, part] if part.isdecimal():
            return name, int(part)
    msg = f"{subject!r} is not count.<shard>.<stream_id>.<name>.<part>"
    raise ValueError(msg)


def part_of(gateway: str, parts: int) -> int:
    """The part (0 to *parts* - 1) of every counter that a gateway adds to."""
    return zlib.crc32(gateway.encode()) % parts


def counts_log(shard: int) -> str:
    """`COUNTS_<shard>`: the counter log of a shard."""
    return f"COUNTS_{shard}"


def limit(name: str, *keys: str) -> str:
    """`limit.<name>.<hash of the keys>`: one subject per limited party; hashed, since user ids are free text."""
    digest = hashlib.sha256("\0".join(keys).encode()).hexdigest()[:32]
    return f"{_limited(name)}{digest}"


@lru_cache(maxsize=64)
def _limited(name: str) -> str:
    return f"limit.{_token(name)}."


def limit_log(name: str) -> str:
    """`LIMITS_<name>`: the log that is the sliding window of one limit."""
    return f"LIMITS_{_token(name)}"


@lru_cache(maxsize=4096)
def party(user_id: str) -> str:
    """The token that stands for a person: hashed, since user ids are free text."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:32]


@lru_cache(maxsize=16_384)
def grant(scope: str, person: str) -> str:
    """`<scope>.<party>`, the key of a grant to *person* (see `party`): the scope is a creator's party, or a stream's id."""
    return f"{_token(scope)}.{_token(person)}"


def media(stream_id: str) -> str:
    """`media.<stream_id>`: what happened to one stream's video."""
    return f"media.{_token(stream_id)}"


#: The log of all of them.
MEDIA_LOG = "MEDIA"


def dead(consumer: str) -> str:
    """`dead.<consumer>`: poison messages of one consumer."""
    return f"dead.{_token(consumer)}"


def parse_live(subject: str) -> tuple[int, str]:
    """Take `live.<shard>.<stream_id>` or `feed.<shard>.<stream_id>` apart into (shard, stream id).

    Raises:
        ValueError: when *subject* is neither.
    """
    match subject.split("."):
        case ["live" | "feed", shard, stream_id] if shard.isdecimal():
            return int(shard), stream_id
    msg = f"{subject!r} is not live.<shard>.<stream_id>"
    raise ValueError(msg)


def comment_msg_id(stream_id: str, user_id: str, key: str) -> str:
    """The `Nats-Msg-Id` of a comment: scoped to the stream, since many streams share one log's duplicate window."""
    return hashlib.sha256(f"{stream_id}\0{user_id}\0{key}".encode()).hexdigest()


def removal_msg_id(comment_id: str) -> str:
    """The `Nats-Msg-Id` of a comment's removal."""
    return f"remove:{_token(comment_id)}"


def media_msg_id(process: str, number: int) -> str:
    """The `Nats-Msg-Id` of the event that *process* told as its *number*th."""
    return f"media:{_token(process)}:{number}"


def settings_msg_id(stream_id: str, revision: int) -> str:
    """The `Nats-Msg-Id` of the item that tells a KV revision of a stream's record."""
    return f"settings:{_token(stream_id)}:{revision}"
