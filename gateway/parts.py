"""A gateway's parts, put together around a broker and a store; `process` chooses both."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette

from gateway.access import Access
from gateway.app import Deps, create_app
from gateway.auth import Authenticator
from gateway.commands import Commands
from gateway.direct import DirectPosting
from gateway.directory import StreamDirectory
from gateway.earlier import Earlier
from gateway.edge.protocol import Edge
from gateway.fanout.admission import Admission
from gateway.fanout.doorway import Doorway, doorway_with
from gateway.fanout.expulsion import Expulsion
from gateway.fanout.hub import Hub
from gateway.fanout.office import Office
from gateway.fanout.protocol import protocol_with
from gateway.fanout.sockets import Sockets
from gateway.granted import Granted
from gateway.history import History
from gateway.hls.entrance import Entrance
from gateway.hls.files import Files
from gateway.hls.films import Films
from gateway.hls.owners import Owners
from gateway.hls.protocol import hls_protocol_with
from gateway.hls.relay import Relay
from gateway.playback import Playback
from gateway.replay.admission import ReplayAdmission
from gateway.replay.replays import Replays
from gateway.taken import Taken
from gateway.taps import Taps
from infra.clock import Clock
from infra.jetstream.connection import Connection
from infra.jetstream.counters import Counters
from infra.jetstream.feed import Feed
from infra.jetstream.grants import FOLLOWS, INVITATIONS, Grants
from infra.jetstream.kv import Bucket
from infra.jetstream.leases import BUCKET as LEASES
from infra.jetstream.leases import MachineLease
from infra.jetstream.limits import Limits
from infra.jetstream.moments import Moments
from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import Reader
from infra.jetstream.streams import BUCKET as STREAMS
from infra.jetstream.streams import StreamRecords
from infra.objects.contract import ObjectStore
from infra.settings import Settings
from infra.stores import CommentStore, StreamStore
from schemas.subjects import part_of


class Parts:
    """Made at once, started in order, stopped in the opposite one."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        authenticator: Authenticator,
        connection: Connection,
        comments: CommentStore,
        streams: StreamStore,
        live: ObjectStore,
        home: ObjectStore,
    ) -> None:
        publisher, reader = Publisher(connection, settings.publish_wait_s), Reader(connection)
        counters = Counters(publisher, reader, part_of(connection.name, settings.counter_shards))
        records = StreamRecords(Bucket(STREAMS, connection, publisher, reader), publisher)
        history = History(comments, reader, clock)
        self._feed = Feed(connection)
        self._directory = StreamDirectory(records, streams)
        leases = Bucket(LEASES, connection, publisher, reader)
        self._lease = MachineLease(leases, clock, f"{socket.gethostname()}:{os.getpid()}")
        self._owners = Owners(leases)
        files = Files(live, home)
        self._relay = Relay(clock, self._owners, files, self._has_ended, settings.hls_cache_bytes)
        self._hub = Hub(settings, clock, connection, reader, history, counters, connection.name)
        self._replays = Replays(clock)
        self._taps = Taps(connection.name, counters, self._feed, clock, settings.reaction_ms, self._hub.tally)
        self._directory.on_change(self._hub.changed)
        follows, invitations = (Grants(Bucket(name, connection, publisher, reader), clock) for name in (FOLLOWS, INVITATIONS))
        self._access = Access(Granted(follows), Granted(invitations))
        self._expulsion = Expulsion(self._hub, self._directory, self._access)
        self._deps = Deps(
            settings=settings,
            clock=clock,
            authenticator=authenticator,
            access=self._access,
            playback=Playback(settings, clock),
            directory=self._directory,
            records=records,
            history=history,
            earlier=Earlier(history.by_msg_id_seq, history.stored_seqs, publisher.find, clock),
            publisher=publisher,
            reader=reader,
            limits=Limits(connection, publisher, reader, clock),
            counters=counters,
            taps=self._taps,
            relay=self._relay,
            lease=self._lease,
            home=home,
            films=Films(home),
            taken_at=Taken(Moments(connection), self._hub.taken_at).at_ms,
            samples=self._hub.samples,
            viewer_count=self._hub.count,
            reaction_totals=self._hub.reaction_totals,
        )
        office = Office(self._hub, self._directory, self._access, Commands(self._deps))
        self._sockets = Sockets(self._hub, authenticator, office, clock)
        self.edge = Edge(settings)

    def starts(self) -> list[Callable[[], Awaitable[object]]]:
        """What has to be started, in this order; each may raise Unavailable, and be called again then."""
        return [
            lambda: self._directory.start(self._feed),
            lambda: self._access.start(self._feed),
            lambda: self._owners.start(self._feed),
            self._lease.start,
            self._hub.start,
            self._sockets.start,
        ]

    def app(self) -> Starlette:
        """The ASGI application."""
        return create_app(self._deps)

    def door(self) -> type[Doorway]:
        """The class for uvicorn's `http` option."""
        authenticator, clock = self._deps.authenticator, self._deps.clock
        replays = ReplayAdmission(self._hub, self._directory, authenticator, self._access, self._replays, clock)
        admission = Admission(self._hub, self._directory, authenticator, self._access, replays)
        protocol = protocol_with(admission, self.edge, self._sockets, DirectPosting(self._deps), self._hub.recess)
        return doorway_with(
            admission, hls_protocol_with(protocol, self._relay, Entrance(self._directory, self._access, self._deps.playback))
        )

    async def drain(self, seconds: float) -> None:
        """Send everybody away over *seconds*."""
        await asyncio.gather(self._hub.drain(seconds), self._sockets.drain(seconds))
        await self._sockets.goodbye()

    async def stop(self) -> None:
        """Stop all of them; drain first."""
        await self._sockets.stop()
        await self._relay.stop()
        await self._owners.stop()
        await self._taps.stop()
        await self._lease.stop()
        await self._replays.stop()
        await self._expulsion.stop()
        await self._hub.stop()
        await self._access.stop()
        await self._directory.stop()

    def _has_ended(self, stream_id: str) -> bool:
        record = self._directory.known(stream_id)
        return record is None or record.status == "ended"
