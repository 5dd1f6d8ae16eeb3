"""How long a page of comments takes, by where in a stream it lies: at the ends, in the middle, beside a purge or a sweep.

`python -m bench.pages --keep FOLDER` fills SQLite and an Apache Cassandra of its own through the stores themselves with a show
of a million comments (`bench/evenings.py`) and one of a thousand; that takes a quarter of an hour, and with the same
folder the next run begins at once. Then every kind of page is asked for in turns, one at a time: from the stores, and over
HTTP from a gateway in front of them. Nothing is kept between two questions but what store, server and kernel keep.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from bench import options, results
from bench.asks import LIMIT, Ask, asks
from bench.evenings import Show
from bench.results import Result, Table
from bench.shelf import STORES, Shelf
from bench.through import Door
from infra.stores import CommentStore

FLAT = 1.5


class Times(Struct):
    """Seconds of each question, by kind and position."""

    of: dict[str, dict[str, list[float]]]

    def rows(self, small: "Times") -> list[list[str]]:
        """A line per position: median, p99, the median against its kind's least, and against the small stream's."""
        found = []
        for kind, positions in self.of.items():
            least = min(statistics.median(each) for each in positions.values())
            for where, seconds in positions.items():
                median = statistics.median(seconds)
                beside = small.of.get(kind, {}).get(where)
                found.append(
                    [
                        kind,
                        where,
                        f"{1000 * median:.2f}",
                        f"{1000 * _p99(seconds):.2f}",
                        f"{median / least:.2f}",
                        f"{median / statistics.median(beside):.2f}" if beside else "",
                    ]
                )
        return found

    def spread(self, kind: str) -> float:
        """The slowest position's median against the fastest's."""
        medians = [statistics.median(each) for each in self.of[kind].values()]
        return max(medians) / min(medians)


def _p99(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[-1]


async def timed(shows: Mapping[str, Show], rounds: int, ask: Callable[[Show, Ask], Awaitable[int]]) -> dict[str, Times]:
    """Every question of both shows once a round, in an order of that round."""
    chance = random.Random(7)
    found = {name: Times({}) for name in shows}
    for name, show in shows.items():
        found[name].of = {kind: {where: [] for where in positions} for kind, positions in asks(show, chance).items()}
    for number in range(rounds + 2):
        questions = [
            (name, kind, where, each)
            for name, show in shows.items()
            for kind, positions in asks(show, chance).items()
            for where, each in positions.items()
        ]
        chance.shuffle(questions)
        for name, kind, where, question in questions:
            began = time.perf_counter()
            count = await ask(shows[name], question)
            took = time.perf_counter() - began
            if count < LIMIT:
                msg = f"{name}, {kind}, {where}: {count} comments"
                raise AssertionError(msg)
            # Two rounds to open connections and prepare statements.
            if number >= 2:
                found[name].of[kind][where].append(took)
    return found


def told(result: Result, what: str, times: dict[str, Times]) -> None:
    """A table, and a criterion for each kind."""
    columns = ["order", "where", "median, ms", "p99, ms", "against its least", "against 1,000 comments"]
    result.tables.append(Table(what, columns, times["large"].rows(times["small"])))
    for kind in times["large"].of:
        result.want(f"{what}: {kind}, slowest position / fastest", times["large"].spread(kind), at_most=FLAT)


async def run(given: options.Options, result: Result, folder: Path) -> None:
    """Fill, then measure."""
    shelf = Shelf(folder, given.more.comments)
    for name in given.more.stores.split(","):
        async with STORES[name](shelf) as (store, url):

            async def of_store(show: Show, ask: Ask, store: CommentStore = store) -> int:
                return await ask.of(store, show.stream_id)

            told(result, name, await timed(shelf.shows, given.rounds, of_store))
            if given.more.http:
                async with Door.open(folder, url, shelf.shows.values()) as door:

                    async def over_http(show: Show, ask: Ask, door: Door = door) -> int:
                        return await door.page(show.stream_id, ask, LIMIT)

                    told(result, f"HTTP, {name}", await timed(shelf.shows, given.rounds, over_http))


def main() -> None:
    """Run the command line."""
    made = options.parser("pages", __doc__, viewers=0, seconds=0, rounds=60)
    made.add_argument("--comments", type=int, default=1_000_000, help="of the large show (default %(default)s)")
    made.add_argument("--stores", default="SQLite,CQL", help="(default %(default)s)")
    made.add_argument("--keep", type=Path, help="a folder that holds the filled stores, or will")
    made.add_argument("--http", action=argparse.BooleanOptionalAction, default=True, help="over HTTP as well")
    given = options.parse(made)
    result = results.begin(
        "pages", "Pages of a long stream", given, comments=given.more.comments, limit=LIMIT, rounds=given.rounds
    )
    with tempfile.TemporaryDirectory(prefix="ovation-pages-") as temporary:
        asyncio.run(run(given, result, given.more.keep or Path(temporary)))
    result.finish()


if __name__ == "__main__":
    main()
