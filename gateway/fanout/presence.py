"""Viewer counts over all gateways: each tells what changed in its crowds, and keeps a copy of the others'. Pure.

What did not change is not told again for a minute: 10,000 quiet streams cost one empty message a second. That is safe because
messages are counted: whoever misses one, or comes later, asks for everything and is told it in parts. A gateway that falls
silent is forgotten. Every message is at most `MESSAGE_BYTES`, and making one takes a few milliseconds at most.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import msgspec

from gateway.fanout.crowd import Crowd
from gateway.fanout.peer import Peer
from gateway.fanout.sketch import union
from infra.clock import Clock
from infra.telemetry import logs
from schemas.pulse import PresenceMessage, StreamPresence

log = logs.get(__name__)

#: Something is said this often, so that silence means something.
HEARTBEAT_S = 1.0
#: Three missed messages.
EXPIRES_S = 3.5
#: A crowd of more than `MANY` is told whole at each change (8 bytes a person), so less often.
MANY, MANY_S = 128, 0.5
#: Above the exact bound the numbers are told at each change, the sample this often.
SAMPLE_S = 2.0
#: Everything is asked for, and told, at most this often.
ASK_S = 1.0
EVERYBODY = "*"
#: ... and told unasked this often: 9 kB a second for 10,000 streams, so that no error can last.
REFRESH_S = 60.0
#: What one message holds; NATS takes 1 MB.
MESSAGE_BYTES, MESSAGE_STREAMS = 256 * 1024, 2_000
#: Beyond its sample, what a stream takes in a message at most.
_STREAM_BYTES = 160
#: Gateways that are listened to.
PEERS = 1_024

_decode = msgspec.msgpack.Decoder(PresenceMessage).decode
_encode = msgspec.msgpack.Encoder().encode


class Presence:
    """This gateway's crowds and what is known of the others'."""

    def __init__(self, gateway: str, clock: Clock, exact: int) -> None:
        """*gateway* is a name no other process has or had; *exact*: people of a stream up to which samples are complete."""
        self.gateway = gateway
        #: Called when there may be something to tell or to show.
        self.wake: Callable[[], None] = lambda: None
        self._clock = clock
        self._exact = exact
        self._crowds: dict[str, Crowd] = {}
        self._peers: dict[str, Peer] = {}
        self._untold: dict[str, None] = {}
        self._unsampled: set[str] = set()
        self._changed: set[str] = set()
        self._unions: dict[str, tuple[int, bool]] = {}
        self._snapshot: Iterator[str] | None = None
        self._begins = False
        self._overflow = False
        self._seq = 0
        self._told_at = self._asked_at = self._began_at = float("-inf")
        self._expired_at = clock.monotonic()

    def join(self, stream_id: str, person: int) -> None:
        """Count a connection of *person* (`sketch.person`, or `crowd.ANONYMOUS`)."""
        crowd = self._crowds.get(stream_id)
        if crowd is None:
            crowd = self._crowds[stream_id] = Crowd()
        if crowd.join(person):
            self._moved(stream_id)

    def leave(self, stream_id: str, person: int) -> None:
        """Count it no longer; every `join` is left once."""
        crowd = self._crowds[stream_id]
        if crowd.leave(person):
            if crowd.empty:
                del self._crowds[stream_id]
            self._moved(stream_id)

    def count(self, stream_id: str) -> tuple[int, bool]:
        """Viewers of a stream over all gateways, and whether that is an estimate.

        Costs a union of samples (4 ms for ten gateways with a thousand people each) once after each `changed`.
        """
        anonymous, groups = 0, []
        crowd = self._crowds.get(stream_id)
        if crowd is not None:
            anonymous = crowd.anonymous
        for peer in self._peers.values():
            if (told := peer.streams.get(stream_id)) is not None:
                anonymous += told[0]
                if told[1].people:
                    groups.append(told[1])
        if not groups:
            return anonymous + (len(crowd.people) if crowd else 0), False
        if (known := self._unions.get(stream_id)) is None:
            if crowd is not None and crowd.people:
                groups.append(crowd.group(self._exact, self._clock.monotonic(), SAMPLE_S))
            known = self._unions[stream_id] = union(groups)
        return anonymous + known[0], known[1]

    def changed(self) -> set[str]:
        """Streams whose count may be another than at the last call."""
        changed, self._changed = self._changed, set()
        for stream_id in changed:
            self._unions.pop(stream_id, None)
        return changed

    def take(self, payload: bytes) -> None:
        """Note what another gateway tells; what cannot be read is dropped, and missed when the next one comes."""
        try:
            message = _decode(payload)
        except msgspec.MsgspecError as error:
            log.warning("unreadable presence dropped", cause=str(error))
            return
        if message.gateway == self.gateway:
            return
        now = self._clock.monotonic()
        peer = self._peers.get(message.gateway)
        if peer is None:
            if len(self._peers) >= PEERS:
                log.warning("more gateways than are listened to", gateway=message.gateway)
                return
            peer = self._peers[message.gateway] = Peer(now)
        self._note(peer.take(message, now))
        if not peer.whole:
            self.wake()
        asked = self.gateway in message.asks or EVERYBODY in message.asks
        if asked and self._snapshot is None and now - self._began_at >= ASK_S:
            self._begins, self._began_at = True, now
            self.wake()

    def expire(self) -> None:
        """Forget gateways that fell silent; not to be called while the broker is away, when all are silent.

        After a pause of this process or of the calls, silence counts from its end: what was said meanwhile may still come.
        """
        now = self._clock.monotonic()
        pause, self._expired_at = now - self._expired_at, now
        if pause > EXPIRES_S / 2:
            for peer in self._peers.values():
                peer.seen = max(peer.seen, now - HEARTBEAT_S)
        for name in [name for name, peer in self._peers.items() if now - peer.seen > EXPIRES_S]:
            log.info("gateway fell silent", gateway=name)
            self._note(self._peers.pop(name).streams)

    @property
    def more(self) -> bool:
        """Whether `messages` has more to say than it could just say at once."""
        return self._snapshot is not None or self._overflow

    @property
    def unsaid(self) -> bool:
        """Whether there is something to tell, now or soon."""
        return self._begins or self._snapshot is not None or bool(self._untold)

    def messages(self) -> list[bytes]:
        """What to tell the others now: changes, a part of everything if that was asked for, or that this gateway is alive."""
        now = self._clock.monotonic()
        self._resample(now)
        asks = self._asks(now)
        found = []
        if told := list(self._changes(now)):
            found.append(self._message(asks=asks, streams=told))
            asks = []
        if self._snapshot is None and now - self._began_at >= REFRESH_S:
            self._begins, self._began_at = True, now
        if self._begins or self._snapshot is not None:
            begins, self._begins = self._begins, False
            if begins:
                # Only now: whoever hears that everything begins forgets what is not in it, changes just told included.
                self._snapshot = iter(list(self._crowds))
            told = list(self._part(now))
            found.append(self._message(asks=asks, streams=told, begins=begins, ends=self._snapshot is None))
            asks = []
        if asks or (not found and now - self._told_at >= HEARTBEAT_S):
            found.append(self._message(asks=asks, streams=[]))
        if found:
            self._told_at = now
        return found

    def _asks(self, now: float) -> list[str]:
        if self._seq == 0:
            # Who is there is not known yet.
            return [EVERYBODY]
        if now - self._asked_at < ASK_S:
            return []
        asks = [name for name, peer in self._peers.items() if not peer.whole]
        if asks:
            self._asked_at = now
        return asks

    def _changes(self, now: float) -> Iterator[StreamPresence]:
        size, self._overflow = 0, len(self._untold) > MESSAGE_STREAMS
        for stream_id in list(islice(self._untold, MESSAGE_STREAMS)):
            if size > MESSAGE_BYTES - self._most:
                self._overflow = True
                return
            crowd = self._crowds.get(stream_id)
            if crowd is not None and MANY < len(crowd.people) <= self._exact and now - crowd.told_at < MANY_S:
                # At the end of the line, so that it holds nobody up.
                self._untold.pop(stream_id)
                self._untold[stream_id] = None
                continue
            del self._untold[stream_id]
            told = self._tell(stream_id, crowd, now)
            size += _STREAM_BYTES + len(told.sample or b"")
            yield told

    def _part(self, now: float) -> Iterator[StreamPresence]:
        size = 0
        for count, stream_id in enumerate(self._snapshot or (), 1):
            if (crowd := self._crowds.get(stream_id)) is not None:
                told = self._tell(stream_id, crowd, now, always=True)
                size += _STREAM_BYTES + len(told.sample or b"")
                yield told
            if count >= MESSAGE_STREAMS or size > MESSAGE_BYTES - self._most:
                return
        self._snapshot = None

    def _tell(self, stream_id: str, crowd: Crowd | None, now: float, *, always: bool = False) -> StreamPresence:
        if crowd is None:
            return StreamPresence(stream_id, 0, 0)
        group = crowd.group(self._exact, now, SAMPLE_S)
        with_sample = always or group.complete or crowd.untold
        if not group.complete:
            # The sample may have been made just now, and then the count here is another, too.
            self._changed.add(stream_id)
        crowd.told_at = now
        if with_sample:
            crowd.untold = False
        if crowd.outdated:
            self._unsampled.add(stream_id)
        return StreamPresence(stream_id, crowd.anonymous, group.people, group.sample if with_sample else None)

    @property
    def _most(self) -> int:
        return _STREAM_BYTES + 8 * self._exact

    def _resample(self, now: float) -> None:
        for stream_id in list(self._unsampled):
            crowd = self._crowds.get(stream_id)
            if crowd is None or now - crowd.sampled_at >= SAMPLE_S:
                self._unsampled.discard(stream_id)
                if crowd is not None:
                    self._untold[stream_id] = None

    def _message(self, *, asks: list[str], streams: list[StreamPresence], begins: bool = False, ends: bool = False) -> bytes:
        self._seq += 1
        return _encode(PresenceMessage(self.gateway, self._seq, begins, ends, asks, streams))

    def _moved(self, stream_id: str) -> None:
        self._untold[stream_id] = None
        self._note((stream_id,))

    def _note(self, streams: Iterable[str]) -> None:
        self._changed.update(streams)
        if self._changed:
            self.wake()
