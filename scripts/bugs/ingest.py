"""The deliberate mistakes in taking broadcasts in."""

from scripts.bugs.bug import Bug

INGEST = [
    Bug(
        "type-3-delta",
        "an RTMP type 3 chunk that begins a message does not repeat the delta: audio runs slow",
        "workers/media/rtmp/chunks.py",
        "else (stream.timestamp + stream.delta) & _WRAP",
        "else (stream.timestamp + (stream.delta if header.field is not None else 0)) & _WRAP",
        "tests/unit/workers/media/test_chunks.py",
    ),
    Bug(
        "bytes-are-life",
        "any byte of a publisher moves its deadline: a byte now and then keeps a connection and its stream for ever",
        "workers/media/rtmp/connection.py",
        "        before = self._session.messages\n",
        "        before = self._session.messages\n        self._wire.until(self._wire.now() + self._limits.silence_s)\n",
        "tests/integration/test_rtmp_port.py",
    ),
    Bug(
        "unread-answers",
        "answers that a peer does not read are kept for it without bound",
        "workers/media/rtmp/connection.py",
        "        self._wire.check()\n",
        "",
        "tests/integration/test_rtmp_port.py",
    ),
    Bug(
        "reset-refusal",
        "a cut encoder's connection is closed over what it still sends: it is reset, and the reason is never read",
        "workers/media/rtmp/connection.py",
        "        while data := await self._wire.read():",
        "        while not self._over and (data := await self._wire.read()):",
        "tests/integration/test_rtmp_port.py",
    ),
    Bug(
        "guesses-fail-open",
        "more addresses than fit push out those that had to wait",
        "workers/media/rtmp/guesses.py",
        "        self._slots[slot] = (since, count + 1)",
        "        if len(self._slots) >= 1000:\n            self._slots.clear()\n        self._slots[slot] = (since, count + 1)",
        "tests/unit/workers/media/test_peers.py",
    ),
    Bug(
        "wrapped-clock",
        "times are not unwrapped: where 2^32 ms are over the encoder's clock falls back by seven weeks",
        "workers/media/rtmp/stamps.py",
        "        stamp = last + (raw - last + _WRAP // 2) % _WRAP - _WRAP // 2",
        "        stamp = raw + 0 * last",
        "tests/unit/workers/media/test_dialogues.py",
    ),
    Bug(
        "continued-extended",
        "continued chunks with an extended timestamp are read like others: its four bytes become media",
        "workers/media/rtmp/chunks.py",
        "if stream is None or stream.partial is None or stream.extended is not None:",
        "if stream is None or stream.partial is None:",
        "tests/unit/workers/media/test_dialogues.py",
    ),
    Bug(
        "keyframe-to-come",
        "the distance of keyframes is judged at the next one: an encoder that sends none is never told",
        "workers/media/rtmp/keyframes.py",
        "if distance > self._most_s * 1000 + _ROUNDING_MS:",
        "if tag.is_keyframe and distance > self._most_s * 1000 + _ROUNDING_MS:",
        "tests/unit/workers/media/test_keyframes.py",
    ),
    Bug(
        "uncounted-handshake",
        "a connection takes no place until its handshake is over",
        "workers/media/rtmp/server.py",
        "full = self._peers.enter(wire.address)",
        "full = self._peers.enter(wire.address) if context is None else None",
        "tests/integration/test_rtmps.py",
    ),
]
