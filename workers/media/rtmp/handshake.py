"""The simple handshake (RTMP 1.0, section 5.2), the server's half, sans-IO."""

import secrets

from workers.media.rtmp.errors import ProtocolError

VERSION = 3
SIZE = 1536


class Handshake:
    """Takes C0, C1 and C2; answers S0, S1 and S2 as soon as C1 is there."""

    def __init__(self) -> None:
        self.done = False
        self._buffer = bytearray()
        self._answered = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take *data*; returns what to send now, and (once `done`) the bytes that follow the handshake.

        Raises:
            ProtocolError: the first byte is no RTMP version 3, as with a browser or a TLS client on this port.
        """
        self._buffer += data
        if self._buffer and self._buffer[0] != VERSION:
            msg = f"the first byte is 0x{self._buffer[0]:02x}, not RTMP version 3{_guess(self._buffer[0])}"
            raise ProtocolError(msg)
        answer = b""
        if not self._answered and len(self._buffer) > SIZE:
            self._answered = True
            own = bytes(8) + secrets.token_bytes(SIZE - 8)
            answer = bytes((VERSION,)) + own + bytes(self._buffer[1 : 1 + SIZE])
        if len(self._buffer) < 1 + 2 * SIZE:
            return answer, b""
        # C2 echoes S1 in theory; encoders in the field send anything there, so it is counted and not compared.
        self.done = True
        rest = bytes(self._buffer[1 + 2 * SIZE :])
        self._buffer.clear()
        return answer, rest


def _guess(first: int) -> str:
    """What speaks with such a first byte, for whoever reads the log."""
    if first == 0x16:
        return " (TLS: encoders that are set to rtmps need OVATION_RTMPS_CERTIFICATE_FILE and OVATION_RTMPS_PORT)"
    if first in (6, 8):
        return " (RTMPE, which is not offered)"
    return " (HTTP)" if chr(first) in "GPHDOC" else ""
