"""The pages that are asked for: every kind, wherever in a stream it may lie."""

import random

from msgspec import Struct

from bench.evenings import Show
from infra.stores import CommentStore

END = 2**53
LIMIT = 50
DEEP = 10_000


class Ask(Struct, frozen=True, kw_only=True):
    """One page: *cursor* is the seq before which or after which it begins; `None` is the stream's own end."""

    cursor: int | None = None
    descending: bool = True
    offset: int = 0
    from_ms: int | None = None
    to_ms: int | None = None

    async def of(self, store: CommentStore, stream_id: str) -> int:
        """Ask the store; how many it has."""
        found = await store.comments(
            stream_id,
            after=0 if self.descending or self.cursor is None else self.cursor,
            before=END if not self.descending or self.cursor is None else self.cursor,
            descending=self.descending,
            # As the gateway does, to know whether there are more.
            limit=LIMIT + 1,
            offset=self.offset,
            from_ms=self.from_ms,
            to_ms=self.to_ms,
        )
        return len(found)


def asks(show: Show, chance: random.Random) -> dict[str, dict[str, Ask]]:
    """One round's questions about *show*: by kind, by position. Those in the middle are never twice the same."""
    seqs, times, count = show.seqs, show.times, show.comments
    half = count // 2

    def near(index: int) -> int:
        return min(max(index + chance.randint(-count // 50, count // 50), LIMIT), count - 2 * LIMIT)

    anywhere = chance.randrange(LIMIT, count - 2 * LIMIT)
    # Of a page that begins there: within a purged person's comments, and with a sweep between its first and its last.
    raid, sweep = show.raids[2] + count // 400, show.sweeps[0] + LIMIT // 2
    places = {
        "middle": near(half),
        "across the week of silence": half + LIMIT // 2,
        "anywhere": anywhere,
        "purged": raid,
        "across a sweep": sweep,
    }
    down = {"first": Ask(), **{name: Ask(cursor=seqs[at]) for name, at in places.items()}, "last": Ask(cursor=seqs[LIMIT + 1])}
    up = {
        "first": Ask(descending=False),
        **{name: Ask(cursor=seqs[at - LIMIT], descending=False) for name, at in places.items()},
        "last": Ask(cursor=seqs[-LIMIT - 2], descending=False),
    }
    kinds = {"newest first": down, "oldest first": up}
    if count > 4 * DEEP:
        deep = {"first": None, "middle": near(half), "anywhere": min(max(anywhere, 2 * DEEP), count - 2 * DEEP)}
        kinds[f"newest first, offset {DEEP:,}"] = {
            **{name: Ask(cursor=None if at is None else seqs[at], offset=DEEP) for name, at in deep.items()},
            "last": Ask(cursor=seqs[DEEP + LIMIT + 1], offset=DEEP),
        }
        kinds[f"oldest first, offset {DEEP:,}"] = {
            **{name: Ask(cursor=None if at is None else seqs[at], offset=DEEP, descending=False) for name, at in deep.items()},
            "last": Ask(cursor=seqs[-DEEP - LIMIT - 2], offset=DEEP, descending=False),
        }
    ten = 10_000
    # Whole ten seconds of talk: not those in which the silence begins.
    spots = {
        "first": 0,
        "middle": half + chance.randrange(count // 50),
        "anywhere": chance.randrange(half, count - count // 5),
        "last": count - min(20 * LIMIT, count // 5),
    }
    for descending, name in ((True, "newest first"), (False, "oldest first")):
        kinds[f"{name}, of ten seconds"] = {
            where: Ask(from_ms=times[at], to_ms=times[at] + ten, descending=descending) for where, at in spots.items()
        }
        kinds[f"{name}, from a time on" if not descending else f"{name}, up to a time"] = {
            where: Ask(to_ms=times[at] + ten, descending=True) if descending else Ask(from_ms=times[at], descending=False)
            for where, at in spots.items()
        }
    return kinds
