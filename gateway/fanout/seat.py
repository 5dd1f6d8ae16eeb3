"""A WebSocket connection's place in the audience of one stream."""

from typing import TYPE_CHECKING

from gateway.access import not_found
from gateway.fanout.viewer import Viewer
from gateway.fanout.ws import SocketWire
from schemas.socket import Refused

if TYPE_CHECKING:
    from gateway.fanout.connection import Connection

#: As a 404 would say; 4000-4999 are for applications.
EXPELLED = 4404


class Seat(Viewer):
    """A viewer whose connection outlives it: each join is a new seat.

    So whatever still works for the stream that was left (a read, a turn of catching up) finds it closed, and never writes
    one stream's past into another's present.
    """

    takes_room = False

    __slots__ = ("connection",)

    def __init__(self, connection: "Connection", stream_id: str) -> None:
        super().__init__(connection.transport)
        self.connection = connection
        self.wire = SocketWire(stream_id)
        self.paused = connection.paused
        self.principal = connection.principal

    def vacate(self) -> None:
        """Leave the stream; the connection stays."""
        if not self.closed:
            self.connection_lost(None)

    def expel(self) -> None:
        """End the whole connection: its stream is not its to see any more."""
        if self.closed:
            return
        gone = not_found(self.wire.stream_id if isinstance(self.wire, SocketWire) else "")
        self.connection.say(Refused(code=gone.code, message=gone.detail, retryable=False))
        self.connection.end(EXPELLED, "not yours to see")

    def end(self, *, come_back: bool = True) -> None:
        """End the whole connection, between two frames."""
        if not self.closed:
            self.connection.sent_away(come_back=come_back)
