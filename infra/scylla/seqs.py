"""Rows of `items` by their seqs, however many and wherever they are."""

import asyncio
from collections.abc import Iterable

from infra.scylla import places
from infra.scylla.database import Database, Found

#: Seqs of one question, all of one partition. ScyllaDB refuses more (`max_clustering_key_restrictions_per_query`).
ASKED = 100


async def rows_at(database: Database, question: str, stream_id: str, seqs: Iterable[int]) -> list[Found]:
    """What *question* (by stream, bucket, and `seq IN`) finds at *seqs*.

    Raises:
        Unavailable: too few nodes answer.
    """
    buckets: dict[int, list[int]] = {}
    for seq in seqs:
        buckets.setdefault(places.bucket_of(seq), []).append(seq)
    questions = [
        database.read(question, stream_id, bucket, theirs[at : at + ASKED])
        for bucket, theirs in buckets.items()
        for at in range(0, len(theirs), ASKED)
    ]
    return [row for some in await asyncio.gather(*questions) for row in some]
