"""Which rows go together: those of one partition, and small ones with others that the same nodes hold.

A request costs server and client as much as five to ten of its rows. A batch of one partition is one write to a node, and is
what full partitions get. A stream that few speak in has one or two rows for each of its partitions, though, and twenty of
them would send a request a row. So what a partition has less than half a batch of is put together with others of the same
table whose first replica is the same node: that node takes them without asking others what it would not have had to ask.
Such a batch is not taken whole or not at all; every row of ours stands for itself, and a write that raised is repeated.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from cassandra.query import PreparedStatement

#: Rows and bytes of one batch. More than 30 rows gain nothing; ScyllaDB warns of batches that are larger.
BATCH_ROWS = 30
BATCH_BYTES = 32 * 1024
#: Of several partitions: both databases warn beyond 10 of them or 5 KiB, and Cassandra refuses 50 KiB.
GATHERED_PARTITIONS = 10
GATHERED_BYTES = 5 * 1024


class Row(NamedTuple):
    """One write: *partition* is what rows of one batch have in common, *size* about its bytes."""

    statement: PreparedStatement
    partition: tuple[object, ...]
    values: Sequence[object]
    size: int = 100


def batched(rows: Iterable[Row], replica: Callable[[Row], object] = lambda _row: None) -> Iterable[list[Row]]:
    """*rows* in batches of one table each, within the bounds; an iterator that several may take from.

    *replica* names the node that holds a row's partition first. Rows of one partition stay in their order.
    """
    grouped: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row.statement.column_metadata[0].table_name, *row.partition), []).append(row)
    full: list[list[Row]] = []
    small: dict[tuple[object, ...], list[list[Row]]] = {}
    for (table, *_), theirs in grouped.items():
        if len(theirs) < BATCH_ROWS // 2:
            small.setdefault((table, replica(theirs[0])), []).append(theirs)
        else:
            full.append(theirs)
    return chain(chain.from_iterable(map(_cut, full)), chain.from_iterable(map(_gathered, small.values())))


def _cut(rows: Sequence[Row]) -> Iterable[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == BATCH_ROWS or size + row.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row.size
    if batch:
        yield batch


def _gathered(partitions: Iterable[list[Row]]) -> Iterable[list[Row]]:
    batch: list[Row] = []
    size = count = 0
    for rows in partitions:
        theirs = sum(row.size for row in rows)
        if batch and (count == GATHERED_PARTITIONS or len(batch) + len(rows) > BATCH_ROWS or size + theirs > GATHERED_BYTES):
            yield batch
            batch, size, count = [], 0, 0
        batch += rows
        size += theirs
        count += 1
    if batch:
        yield batch
