"""Bytes that we make of values are those that the driver makes."""

import struct
from typing import NamedTuple

import pytest
from cassandra.cqltypes import BytesType, Int32Type, LongType, MapType, UTF8Type
from cassandra.query import BatchStatement, PreparedStatement

from infra.scylla.packed import Batch, Packer


class Column(NamedTuple):
    """What a server says of one."""

    keyspace_name: str
    table_name: str
    name: str
    type: object


TYPES = (
    ("stream_id", UTF8Type),
    ("part", Int32Type),
    ("seq", LongType),
    ("payload", BytesType),
    ("decided", MapType.apply_parameters((LongType, UTF8Type))),
)
VALUES = ("ström-😀", -7, 2**63 - 1, b"\0\xff", {3: "7 removed:moderator"})


@pytest.fixture
def statement() -> PreparedStatement:
    """As a server would have prepared it."""
    columns = [Column("ks", "items", name, kind) for name, kind in TYPES]
    return PreparedStatement(columns, b"id", [0, 1], "INSERT", "ks", 4, [], b"")


def test_a_row_is_bound_as_the_driver_binds_it(statement: PreparedStatement) -> None:
    """Every type the tables have, a collection among them; it is routed alike."""
    ours, theirs = Packer(statement).bound(VALUES), statement.bind(VALUES)

    assert ours.values == theirs.values
    assert ours.routing_key == theirs.routing_key


def test_a_batch_is_the_driver_s(statement: PreparedStatement) -> None:
    """Three rows: the same statements and values, sent to where the first belongs."""
    ours, theirs = Batch(), BatchStatement()
    for number in range(3):
        values = (f"s{number}", *VALUES[1:])
        ours.put(Packer(statement), values)
        theirs.add(statement, values)

    assert ours._statements_and_parameters == theirs._statements_and_parameters  # noqa: SLF001 - what the driver sends
    assert (ours.routing_key, ours.keyspace) == (theirs.routing_key, theirs.keyspace)


def test_what_does_not_fit_is_refused(statement: PreparedStatement) -> None:
    """A value too few (the driver would leave its column as it is), a number too large, another type; a null is a null."""
    packer = Packer(statement)
    with pytest.raises(ValueError, match="zip"):
        packer.pack(VALUES[:-1])
    with pytest.raises(struct.error):
        packer.pack((VALUES[0], 2**31, *VALUES[2:]))
    with pytest.raises(TypeError):
        packer.pack((b"s", *VALUES[1:]))
    assert packer.pack((*VALUES[:4], None)) == statement.bind((*VALUES[:4], None)).values
