"""Viewer counts summed over gateways: each tells its own once a second, and one that falls silent is forgotten."""

from collections.abc import Iterable

import msgspec

from infra.clock import Clock

#: Three missed messages.
EXPIRES_S = 3.5


class PresenceMessage(msgspec.Struct):
    """What `presence.<gateway>` carries: viewers by stream."""

    gateway: str
    streams: dict[str, int]


class Presence:
    """What this gateway knows of the others."""

    def __init__(self, gateway: str, clock: Clock) -> None:
        self.gateway = gateway
        self._clock = clock
        self._others: dict[str, tuple[float, dict[str, int]]] = {}

    def message(self, own: dict[str, int]) -> bytes:
        """What to tell the others."""
        return msgspec.json.encode(PresenceMessage(self.gateway, own))

    def take(self, payload: bytes) -> None:
        """Note another gateway's counts; what cannot be read is dropped, the next second brings another."""
        try:
            message = msgspec.json.decode(payload, type=PresenceMessage)
        except msgspec.MsgspecError:
            return
        if message.gateway != self.gateway:
            self._others[message.gateway] = (self._clock.monotonic(), message.streams)

    def expire(self) -> None:
        """Forget gateways that fell silent."""
        now = self._clock.monotonic()
        for gateway in [name for name, (seen, _) in self._others.items() if now - seen > EXPIRES_S]:
            del self._others[gateway]

    def elsewhere(self, stream_id: str) -> int:
        """Viewers of a stream on the other gateways."""
        return sum(streams.get(stream_id, 0) for _, streams in self._others.values())

    def streams(self) -> Iterable[str]:
        """Streams that others have viewers of."""
        return {stream_id for _, streams in self._others.values() for stream_id in streams}
