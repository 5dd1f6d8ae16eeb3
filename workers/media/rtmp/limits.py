"""What one RTMP port takes: numbers of connections, times, rates. Everything a test shortens and a setting changes."""

from typing import Self

from msgspec import Struct

from infra.limit import Limit
from infra.settings import Settings
from workers.media.flv import AV1, AVC, HEVC
from workers.media.rtmp.codecs import ALL

_CODECS = {"h264": AVC, "hevc": HEVC, "av1": AV1}


class Limits(Struct, frozen=True, kw_only=True):
    """Seconds, bits and counts; the defaults are those of the settings."""

    #: Connections at once, and how many of them from one address (of IPv6: one /64); 0 for any number.
    connections: int = 200
    per_address: int = 50
    #: Refused keys per address, before the address has to wait.
    bad_keys: Limit = Limit(10, 60)
    #: From connecting to the end of the handshakes (TLS and RTMP).
    handshake_s: float = 5.0
    #: From connecting to `publish`.
    publish_s: float = 10.0
    #: Encoders send sound every 20-40 ms; what completes no media message for this long is gone, whatever its socket says.
    silence_s: float = 10.0
    #: What a peer may take to close after it said deleteStream, or to read why it was refused: FFmpeg reads only when it has
    #: written something, and an encoder that looks ahead may have nothing to write for two seconds.
    close_s: float = 5.0
    #: Bits per second, averaged over `rate_s`. An encoder whose line comes back sends what it held: seconds, not a flood.
    bit_rate: float = 20e6
    #: Messages per second, averaged alike: 120 pictures and 100 frames of sound are 220, and each costs us some 30 us.
    messages: int = 2000
    rate_s: float = 5.0
    #: Over `pace_s` the media clock must gain at least `pace` of the wall clock: slower, and nobody can watch.
    pace: float = 0.25
    pace_s: float = 30.0
    #: Codecs of pictures that are taken, as `flv` numbers them.
    codecs: frozenset[int] = ALL
    #: Keyframes this far apart cost viewers delay: the broadcaster is warned.
    keyframe_warn_s: float = 2.0
    #: Keyframes this far apart cannot be packaged.
    keyframe_most_s: float = 10.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say."""
        return cls(
            connections=settings.max_publishers,
            per_address=settings.publishers_per_address,
            bad_keys=settings.limit_bad_keys,
            bit_rate=settings.publish_max_mbit * 1e6,
            codecs=frozenset(_CODECS[name] for name in settings.ingest_codecs.names),
            keyframe_most_s=settings.keyframe_max_s,
        )
