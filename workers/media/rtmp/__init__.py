"""RTMP in: what an encoder (OBS, ffmpeg, a phone) says on port 1935, or over TLS on 1936, and the little it is answered.

Owns the handshake, chunk streams, AMF0, the publishing half of the command dialogue, and every bound on what a peer may
cost. Everything up to `session.py` is sans-IO: bytes in, values out, so that any split of the bytes and any rubbish can be
tried without a socket. Refuses playing, AMF3 objects and shared objects: this port only takes streams in.

    errors.py       ProtocolError: the peer does not speak RTMP as it should; Refused: it does, and is not taken
    limits.py       all bounds in one place: connections, times, rates
    message.py      one RTMP message and the numbers of its types
    amf.py          AMF0 values, with bounds on depth and size
    chunks.py       bytes to messages, with bounds on sizes and chunk streams
    writer.py       messages to bytes
    handshake.py    C0-C2 / S0-S2
    stamps.py       times unwrapped and smoothed
    streamkey.py    the stream key out of application, name and queries
    session.py      the dialogue of one publisher: connect, createStream, publish, deleteStream
    codecs.py       which codec a tag is in; enhanced RTMP brought back to FLV's own form
    keyframes.py    the distance between keyframes: a warning, then a refusal
    meter.py        one publisher's bits, messages and pace against its limits
    peers.py        connections by address
    guesses.py      refused keys by address
    tls.py          TLS, sans-IO
    certificate.py  the certificate of RTMPS, and its renewal
    admission.py    what a connection needs of the broadcasts (the contract)
    wire.py         a TCP connection with one deadline that moves
    connection.py   one peer: its deadlines, the admission of its key, its tags
    server.py       the listening sockets and who may connect
"""
