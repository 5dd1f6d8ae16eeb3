"""What a page costs on a cluster, in rows and in questions, wherever it lies."""

from collections.abc import AsyncIterator, Callable

import pytest

from infra.scylla import Database, ScyllaComments
from infra.scylla.address import Address
from infra.scylla.database import Found
from tests.contract.histories import END, S, logged
from tests.factories import comment, removed

LIMIT = 50


@pytest.fixture
async def database(keyspace: Address) -> AsyncIterator[Database]:
    """A keyspace of the run's server; the test's stream is its own."""
    opened = await Database.open(keyspace)
    yield opened
    await opened.close()


def counting(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Count the rows of each question about items from now on; what it returns gives and forgets them."""
    sizes: list[int] = []
    real = database.read

    async def read(statement: str, *values: object) -> list[Found]:
        rows = await real(statement, *values)
        if ".items " in statement:
            sizes.append(len(rows))
        return rows

    monkeypatch.setattr(database, "read", read)

    def taken() -> list[int]:
        found = list(sizes)
        sizes.clear()
        return found

    return taken


async def test_a_page_beside_a_sweep_reads_comments(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve hundred removals in a row, half of the page before and half after them: both ways, what is read is the page."""
    store = ScyllaComments(database)
    stream_id = f"{S[:-4]}9a9e"
    first = [logged(comment(n), n, stream_id=stream_id) for n in range(1, 701)]
    sweep = [logged(removed(n - 700), n, stream_id=stream_id) for n in range(701, 1901)]
    last = [logged(comment(n), n, stream_id=stream_id) for n in range(1901, 2601)]
    await store.write([*first, *sweep, *last], {})
    taken = counting(database, monkeypatch)

    async def page(*, after: int = 0, before: int = END, descending: bool) -> list[int]:
        found = await store.comments(stream_id, after=after, before=before, descending=descending, limit=LIMIT)
        return [item.seq for item in found]

    for _ in range(2):
        for asked, wanted in (
            (page(before=1926, descending=True), [*range(1925, 1900, -1), *range(700, 675, -1)]),
            (page(after=675, descending=False), [*range(676, 701), *range(1901, 1926)]),
            (page(before=1901, descending=True), [*range(700, 650, -1)]),
            (page(after=700, descending=False), [*range(1901, 1951)]),
            (page(before=2200, descending=True), [*range(2199, 2149, -1)]),
        ):
            assert await asked == wanted
            sizes = taken()
            assert len(sizes) <= 2, sizes
            # A few more, of which some might have been removals.
            assert sum(sizes) <= LIMIT + 40, sizes
