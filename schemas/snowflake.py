"""Comment ids: 64-bit Snowflakes of 41 bits of milliseconds, 10 of machine and 12 of sequence, written in decimal.

An id names a comment; it never orders one. Its time only tells where in the log to look.
"""

from dataclasses import dataclass

#: 2024-01-01T00:00:00Z. 41 bits of milliseconds from here last until 2093.
EPOCH_MS = 1_704_067_200_000
MACHINES = 1 << 10
SEQUENCES = 1 << 12


class ClockBehind(Exception):
    """The clock stands before the last id's millisecond, or past what the lease allows; wait `wait_ms` and ask again."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(f"no id may be stamped for another {wait_ms} ms")
        self.wait_ms = wait_ms


@dataclass(frozen=True, slots=True)
class Snowflake:
    """An id taken apart: milliseconds since the Unix epoch, machine (0-1023) and sequence (0-4095)."""

    ms: int
    machine: int
    sequence: int

    def __str__(self) -> str:
        return str((self.ms - EPOCH_MS) << 22 | self.machine << 12 | self.sequence)


def parse_snowflake(text: str) -> Snowflake:
    """Take a decimal id apart.

    Raises:
        ValueError: when *text* is not the canonical decimal form of a 63-bit positive integer.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= 19) or text != str(int(text)) or int(text) >> 63:
        msg = f"{text[:40]!r} is no comment id: a decimal number below 2^63 is expected"
        raise ValueError(msg)
    value = int(text)
    return Snowflake((value >> 22) + EPOCH_MS, value >> 12 & MACHINES - 1, value & SEQUENCES - 1)


class SnowflakeSequence:
    """Stamps ids for one machine number; pure: the caller brings the time.

    Ids are strictly increasing. A clock that steps back is met with `ClockBehind`, never with an id from the past:
    two ids with one value would make two comments answer to one name.
    """

    def __init__(self, machine: int, not_before_ms: int = 0) -> None:
        """Start *machine* (0-1023) above *not_before_ms*, the highest millisecond its former holder may have used."""
        if not 0 <= machine < MACHINES:
            msg = f"machine {machine} is outside 0-{MACHINES - 1}"
            raise ValueError(msg)
        self.machine = machine
        self.last_ms = not_before_ms
        self._sequence = SEQUENCES - 1

    def stamp(self, now_ms: int) -> Snowflake:
        """Stamp the next id at *now_ms*.

        Raises:
            ClockBehind: the clock stepped back, or this millisecond's 4,096 ids are spent.
        """
        if now_ms < self.last_ms:
            raise ClockBehind(self.last_ms - now_ms)
        if now_ms > self.last_ms:
            self.last_ms, self._sequence = now_ms, -1
        if self._sequence == SEQUENCES - 1:
            raise ClockBehind(1)
        self._sequence += 1
        return Snowflake(now_ms, self.machine, self._sequence)
