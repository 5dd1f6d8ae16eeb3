"""Which rows share a request."""

from types import SimpleNamespace

from cassandra.query import PreparedStatement

from infra.scylla.groups import (
    BATCH_BYTES,
    BATCH_ROWS,
    GATHERED_BYTES,
    GATHERED_PARTITIONS,
    Row,
    batched,
)


def statement_of(table: str) -> PreparedStatement:
    """All that grouping asks of a statement."""
    return SimpleNamespace(column_metadata=[SimpleNamespace(table_name=table)])


LOOKUPS, ITEMS = statement_of("lookups"), statement_of("items")


def rows(partition: int, count: int, size: int = 100, statement: PreparedStatement = LOOKUPS) -> list[Row]:
    """*count* rows of one partition, numbered."""
    return [Row(statement, ("s", partition), (partition, number), size) for number in range(count)]


def test_a_full_partition_has_its_batches_to_itself() -> None:
    """A busy stream's items: nothing of another partition in their batches, and their order kept."""
    found = list(batched([*rows(1, 70), *rows(2, 3)]))

    assert [len(batch) for batch in found] == [30, 30, 10, 3]
    assert [row.values for batch in found[:3] for row in batch] == [(1, number) for number in range(70)]


def test_small_partitions_go_together() -> None:
    """Twenty partitions of a row each are two requests, never twenty; no partition is torn apart."""
    assert [len(batch) for batch in batched([row for n in range(20) for row in rows(n, 1)])] == [GATHERED_PARTITIONS] * 2
    for batch in batched([row for n in range(50) for row in rows(n, 1 + n % 14)]):
        numbers = {row.partition for row in batch}
        assert len(batch) <= BATCH_ROWS
        assert len(numbers) <= GATHERED_PARTITIONS
        assert len(batch) == sum(1 + int(str(number)) % 14 for _, number in numbers)


def test_bytes_are_bounded() -> None:
    """Items of several partitions stay below what the databases warn of, those of one below what they take."""
    gathered = list(batched([row for n in range(20) for row in rows(n, 1, size=2000)]))
    assert max(sum(row.size for row in batch) for batch in gathered) <= GATHERED_BYTES
    assert sum(map(len, gathered)) == 20

    alone = list(batched(rows(1, 40, size=2000)))
    assert max(sum(row.size for row in batch) for batch in alone) <= BATCH_BYTES
    assert sum(map(len, alone)) == 40


def test_only_what_is_one_table_s_and_one_node_s_goes_together() -> None:
    """A batch whose rows several nodes hold would make one of them ask the others."""
    mixed = [*rows(1, 1), *rows(2, 1), *rows(3, 1), *rows(1, 1, statement=ITEMS)]
    found = list(batched(mixed, lambda row: int(str(row.partition[1])) % 2))

    assert sorted([row.partition[1] for row in batch] for batch in found) == [[1], [1, 3], [2]]
    assert all(len({row.statement.column_metadata[0].table_name for row in batch}) == 1 for batch in found)
