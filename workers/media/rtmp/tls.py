"""TLS, sans-IO: bytes from the socket in, the peer's bytes out, so that RTMPS is the same connection with the same deadlines.

asyncio's own TLS counts a connection only after its handshake: whoever never finishes one would be under no limit of ours.
"""

import ssl

from workers.media.rtmp.errors import ProtocolError

_READ = 64 * 1024


class Tls:
    """The server's end of one connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = False
        #: The peer has said that nothing follows.
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Take what the socket gave; returns what the peer said by it. Call `take_output` afterwards.

        Raises:
            ProtocolError: it is no TLS, or none that is taken; send `take_output` and close.
        """
        self._incoming.write(data)
        plain = bytearray()
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while more := self._tls.read(_READ):
                plain += more
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            msg = f"TLS: {error.reason or error}"
            raise ProtocolError(msg) from error
        return bytes(plain)

    def write(self, plain: bytes) -> None:
        """Say *plain* to the peer; only after it has said something itself."""
        self._tls.write(plain)

    def close(self) -> None:
        """Say that nothing follows."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            # It waits for the peer's own end, or the handshake was never done: ours is written where it can be.
            return

    def take_output(self) -> bytes:
        """What to send now."""
        return self._outgoing.read()
