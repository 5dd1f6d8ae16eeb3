"""Which worker owns a stream's video, as a gateway knows it: the newest, and not more of them than fit."""

import msgspec
import pytest

from gateway.hls import owners
from infra.jetstream.kv import Entry
from infra.jetstream.streamleases import Owner, lease_key
from tests.backends.nats import NatsServer
from tests.broker import broker

pytestmark = pytest.mark.nats


def _lease(stream_id: str, worker: str | None, revision: int) -> Entry:
    value = msgspec.json.encode(Owner(worker, revision, f"http://{worker}:1")) if worker is not None else None
    return Entry(lease_key(stream_id), value, revision, 0)


async def test_owners_are_bounded_and_whoever_renews_stays(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not renewed for longest is forgotten, those who wait for it are told, and a renewal brings it back."""
    monkeypatch.setattr(owners, "MOST", 2)
    async with broker(nats_server.url) as b:
        known = owners.Owners(b.bucket("leases"))
        known.take(_lease("old", "w1", 1))
        known.take(_lease("renewed", "w2", 2))
        # An owner's value does not change when it renews.
        known.take(_lease("old", "w1", 1))
        waits = known.moved("renewed")

        known.take(_lease("new", "w3", 4))

        assert [known.of(stream) is not None for stream in ("old", "renewed", "new")] == [True, False, True]
        assert waits.done()
        known.take(_lease("renewed", "w2", 2))
        assert known.of("renewed") == Owner("w2", 2, "http://w2:1")


async def test_a_change_is_told_and_a_renewal_is_not(nats_server: NatsServer) -> None:
    """Whoever asks a worker learns that it owns the stream no longer, and is left in peace while it does."""
    async with broker(nats_server.url) as b:
        known = owners.Owners(b.bucket("leases"))
        known.take(_lease("a", "w1", 1))
        waits = known.moved("a")
        known.take(_lease("a", "w1", 1))
        assert not waits.done()

        known.take(_lease("a", "w2", 2))

        assert waits.done()
        known.take(_lease("a", None, 3))
        assert known.of("a") is None
