"""Playback URLs of streams that are not public: whose they are and until when, signed, in the path.

`/hls/{stream_id}/~{expiry}.{v|m}{party}.{signature}/master.m3u8`: players resolve every further address against it, so that all
of them carry it. The signature says who asks; whether that person may still watch is asked each time (`gateway.access`).
"""

import base64
import hashlib
import hmac
import re

from msgspec import Struct

from gateway.auth import MIN_SECRET_BYTES, Principal
from gateway.kept import Kept
from infra.clock import Clock
from infra.errors import BadSettings
from infra.settings import Settings

#: Tokens whose signature was checked already, about 400 bytes each: a low-latency player sends its own ten times a second.
REMEMBERED = 65_536
#: Seconds that an address holds which lets watch as a moderator: nobody can be asked for the role, which may have ended.
MODERATES_S = 3600
_TOKEN = re.compile(r"~([0-9]{1,11})\.([vm])([0-9a-f]{32})\.([A-Za-z0-9_-]{43})")
_IN_A_PATH = re.compile(r"/~[^/]*")
_PURPOSE = b"ovation playback"


class Holder(Struct, frozen=True):
    """Whose a playback URL is: a person, as grants name them, and until when (in seconds since the epoch)."""

    party: str
    moderates: bool
    expires_at: int


class Playback:
    """Signs and verifies."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Read the secrets.

        Raises:
            BadSettings: one is too short.
        """
        given = [secret.strip().encode() for secret in settings.playback_secrets.split(",") if secret.strip()]
        if any(len(secret) < MIN_SECRET_BYTES for secret in given):
            msg = (
                f"OVATION_PLAYBACK_SECRETS: each must be at least {MIN_SECRET_BYTES} bytes; make one with: openssl rand -hex 32"
            )
            raise BadSettings(msg)
        # Derived, so that what is signed here never means anything where tokens are verified.
        self._keys = given or [hmac.digest(settings.jwt_secret.encode(), _PURPOSE, "sha256")]
        self._longest_s = int(settings.playback_url_h * 3600)
        self._clock = clock
        self._remembered: Kept[Holder] = Kept(REMEMBERED)

    def token(self, stream_id: str, who: Principal) -> tuple[str, int]:
        """What *who* puts before a path of the stream's video, and when it ends, in seconds since the epoch."""
        longest_s = min(self._longest_s, MODERATES_S) if who.moderates else self._longest_s
        expires_at = min(self._now() + longest_s, who.expires_at)
        claims = f"{expires_at}.{'m' if who.moderates else 'v'}{who.party}"
        return f"~{claims}.{_signature(self._keys[0], stream_id, claims)}", expires_at

    def holder(self, stream_id: str, token: str) -> Holder | None:
        """Whose *token* is; `None` when it does not hold, for whatever reason."""
        name = f"{stream_id}/{token}"
        holder = self._remembered.get(name)
        if holder is None:
            holder = self._verified(stream_id, token)
            if holder is None:
                return None
            self._remembered.put(name, holder, 1)
        return holder if holder.expires_at > self._now() else None

    def _verified(self, stream_id: str, token: str) -> Holder | None:
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        expiry, kind, party, signature = match.groups()
        claims = f"{expiry}.{kind}{party}"
        # All of them, in constant time each: how long it takes tells nothing of any.
        fits = [hmac.compare_digest(_signature(key, stream_id, claims), signature) for key in self._keys]
        return Holder(party, kind == "m", int(expiry)) if any(fits) else None

    def _now(self) -> int:
        return self._clock.now_ms() // 1000


def split(path: str) -> tuple[str | None, str]:
    """The token of a path below a stream's video, if it begins with one or what may be meant as one, and the rest."""
    if not path.startswith("~"):
        return None, path
    token, _, rest = path.partition("/")
    return token, rest


def unsigned(path: str) -> str:
    """*path* as it may be logged: without a token."""
    return _IN_A_PATH.sub("/~", path)


def _signature(key: bytes, stream_id: str, claims: str) -> str:
    digest = hmac.digest(key, f"{stream_id}/{claims}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
