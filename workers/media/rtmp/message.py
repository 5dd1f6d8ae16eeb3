"""One RTMP message, and the types (RTMP 1.0, sections 5.4 and 7.1) that a publisher uses."""

from typing import NamedTuple

SET_CHUNK_SIZE = 1
ABORT = 2
ACKNOWLEDGEMENT = 3
USER_CONTROL = 4
WINDOW_ACK_SIZE = 5
SET_PEER_BANDWIDTH = 6
AUDIO = 8
VIDEO = 9
DATA_AMF3 = 15
COMMAND_AMF3 = 17
DATA = 18
COMMAND = 20
AGGREGATE = 22


class Message(NamedTuple):
    """*type* as above; *timestamp* in milliseconds modulo 2^32; *stream_id* is 0 for the connection itself."""

    type: int
    timestamp: int
    stream_id: int
    payload: bytes
