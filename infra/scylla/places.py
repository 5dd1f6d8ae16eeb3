"""Which partition, block and lookup a thing is in, and when it counts as written. Pure: the same everywhere and for ever."""

import zlib

#: Seqs of one partition of `items`. 350 bytes a comment make 23 MB at the most.
BUCKET = 65_536
#: Seqs that are counted together: a batch counts the blocks it touched anew, so a block is one short read.
BLOCK = 512
#: Partitions of a stream's lookups. A batch of 500 fills each with some twelve rows; 40 million comments make them 100 MB.
PARTS = 128
#: Numbers of logs begin at 2**20 times the second they were made in, 1.05 times the microseconds: none is between those that
#: began at 1 and 2**50, a second of 2004. What is taken off is more than these two are apart until the year 2153.
FIRST = 2**50
AHEAD = 2**48
#: UUIDv7 begin with milliseconds; streams are listed by spans of this many.
MONTH_MS = 30 * 86_400_000
DAY_MS = 86_400_000
MONTH_DAYS = MONTH_MS // DAY_MS
#: Ids have 48 bits of milliseconds.
LAST_DAY = 2**48 // DAY_MS
#: Partitions of a day's list of who spoke where. A batch of 500 people fills each with 31 rows; a day on which a million people
#: speak in five streams each makes them 20 MB.
PEOPLE = 16


def bucket_of(seq: int) -> int:
    """The partition that holds *seq*."""
    return seq // BUCKET


def block_of(seq: int) -> int:
    """The block that *seq* is counted in; blocks are numbered over all buckets."""
    return seq // BLOCK


def part_of(key: str) -> int:
    """The partition of a lookup's key."""
    return zlib.crc32(key.encode()) % PARTS


def month_of(stream_id: str) -> int:
    """The span of time that a stream's id was made in."""
    return int(stream_id.replace("-", "")[:12], 16) // MONTH_MS


def day_of(stream_id: str) -> int:
    """The day that a stream's id was made on; 0 of an id that tells none."""
    try:
        return int(stream_id.replace("-", "")[:12], 16) // DAY_MS
    except ValueError:
        return 0


def person_of(user_id: str) -> int:
    """The part of a day in which the streams that a person spoke in are listed."""
    return zlib.crc32(user_id.encode()) % PEOPLE


def write_time(number: int) -> int:
    """The time (us) of a write that is as new as a log's *number*, a seq or a revision: in their order, and never equal.

    The number itself would be years ahead, and ScyllaDB refuses a write that is more than three days ahead of its clock
    (`restrict_future_timestamp`, on by default).
    """
    return number if number < FIRST else number - AHEAD


def by_id(comment_id: str) -> str:
    """The lookup key of a comment's id."""
    return f"c{comment_id}"


def by_msg_id(msg_id: str) -> str:
    """The lookup key of what an item was posted under."""
    return f"m{msg_id}"


def by_parent(comment_id: str) -> str:
    """The lookup key of a comment's replies."""
    return f"p{comment_id}"


def by_user(user_id: str) -> str:
    """The lookup key of what a user said."""
    return f"u{user_id}"
