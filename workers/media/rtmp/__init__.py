"""RTMP in: what an encoder (OBS, ffmpeg, a phone) says on port 1935, and the little it is answered.

Owns the handshake, chunk streams, AMF0 and the publishing half of the command dialogue. Everything up to `session.py`
is sans-IO: bytes in, values out, so that any split of the bytes and any rubbish can be tried without a socket.
Refuses playing, AMF3 objects and shared objects: this port only takes streams in.

    errors.py      ProtocolError: the peer does not speak RTMP as it should; close
    message.py     one RTMP message and the numbers of its types
    amf.py         AMF0 values, with bounds on depth and size
    chunks.py      bytes to messages, with bounds on sizes and chunk streams
    writer.py      messages to bytes
    handshake.py   C0-C2 / S0-S2
    session.py     the dialogue of one publisher: connect, createStream, publish, deleteStream
    connection.py  one socket: reads, deadlines, the admission of its key
    server.py      the listening sockets and the cap on connections
"""
