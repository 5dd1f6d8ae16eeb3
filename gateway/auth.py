"""Credentials into principals: bearer tokens, the session cookie, and tickets for what cannot set headers."""

import contextlib
import math
import re
import secrets
from pathlib import Path
from typing import Any

import jwt
import msgspec
from msgspec import Struct

from gateway import text
from gateway.problems import Problem
from gateway.signed import Signed
from infra.clock import Clock
from infra.errors import BadSettings
from infra.settings import Settings
from schemas import subjects
from schemas.records import StreamRecord
from schemas.times import parse_rfc3339

AUDIENCE = "ovation"
#: Tickets have their own audience: a ticket is never taken for a token, nor the other way round.
TICKET_AUDIENCE = "ovation-ticket"
COOKIE = "ovation_session"
MIN_SECRET_BYTES = 32
TICKET_MAX_S = 12 * 3600
#: Tokens whose check is remembered: a person posts with the same one.
REMEMBERED = 16_384
ROLES = frozenset({"moderator", "admin", "creator", "verified"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SUBJECT = re.compile(r"[^\x00-\x20\x7f\ud800-\udfff]{1,128}")
#: The end of the year 9999: what lies later counts as this. A number of 400 digits is no float any more.
LATEST_EXP = 253_402_300_799
_PICTURE = re.compile(r"https?://[^\x00-\x20\x7f\ud800-\udfff]+")


class Principal(Struct, frozen=True, kw_only=True):
    """Who asks. `expires_at` is in seconds since the epoch; `stream_id` is set for tickets, which read one stream only.

    `account_created_ms` is when the site made the account, where its tokens tell.
    """

    id: str
    name: str
    picture: str | None = None
    roles: frozenset[str] = frozenset()
    guest: bool = False
    account_created_ms: int | None = None
    expires_at: int = 0
    read_only: bool = False
    stream_id: str | None = None

    @property
    def moderates(self) -> bool:
        """Whether every stream may be moderated."""
        return bool(self.roles & {"moderator", "admin"})

    @property
    def party(self) -> str:
        """The person, as grants name them."""
        return subjects.party(self.id)


class Minted(Struct, frozen=True):
    """A credential and when it ends, in seconds since the epoch."""

    token: str
    expires_at: int
    principal: Principal


class Authenticator:
    """Verifies and mints. Algorithms are pinned by the settings, never taken from the token."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Read the keys.

        Raises:
            BadSettings: no secret, a short one, or a key file that cannot be read.
        """
        if len(settings.jwt_secret.encode()) < MIN_SECRET_BYTES:
            msg = f"OVATION_JWT_SECRET must be at least {MIN_SECRET_BYTES} bytes; make one with: openssl rand -hex 32"
            raise BadSettings(msg)
        self._clock = clock
        self._remembered: dict[str, Principal] = {}
        self._guest_ttl_s = int(settings.guest_ttl_h * 3600)
        self._secret = settings.jwt_secret
        self._signed = Signed(settings.jwt_secret)
        self._keys: list[tuple[Any, str]] = [(settings.jwt_secret, "HS256")]
        if settings.jwt_public_key_file:
            try:
                pem = Path(settings.jwt_public_key_file).read_text()
            except OSError as error:
                msg = f"OVATION_JWT_PUBLIC_KEY_FILE={settings.jwt_public_key_file}: {error.strerror}"
                raise BadSettings(msg) from error
            self._keys.append((pem, settings.jwt_public_key_algorithm))

    def authenticate(
        self, *, authorization: str | None, cookie: str | None, ticket: str | None, method: str, stream_id: str | None
    ) -> Principal | None:
        """Who a request is from; `None` when it brings no credential. The header wins, then the ticket, then the cookie.

        The cookie authorises safe methods only (a page elsewhere can make a browser send it); a ticket reads its stream.

        Raises:
            Problem: UNAUTHORIZED, for a credential that does not hold.
        """
        if authorization is not None:
            return self._bearer(authorization)
        if ticket is not None:
            claims = self._verify(ticket, TICKET_AUDIENCE)
            if claims.get("stream_id") != stream_id:
                raise Problem("UNAUTHORIZED", "This ticket is for reading another stream; ask for one of this stream.")
            if method not in SAFE_METHODS:
                raise Problem("UNAUTHORIZED", "A ticket only reads; send the token as Authorization: Bearer <token>.")
            return msgspec.structs.replace(self._principal(claims), read_only=True, stream_id=stream_id)
        if cookie is not None and method in SAFE_METHODS:
            try:
                return msgspec.structs.replace(self._principal(self._verify(cookie, AUDIENCE)), read_only=True)
            except Problem:
                # A browser sends a stale cookie with everything; reads of public streams need no credential.
                return None
        return None

    def authenticate_socket(self, *, authorization: str | None, cookie: str | None, ticket: str | None) -> Principal | None:
        """Who opens a WebSocket; `None` without a credential. The header wins, then the ticket, then the cookie.

        A script cannot set headers on a WebSocket and no page elsewhere can know a ticket: here it stands for its holder in
        its stream (`Principal.stream_id`), for writing too. The cookie only reads, since a page elsewhere can make a browser
        send it.

        Raises:
            Problem: UNAUTHORIZED, for a credential that does not hold.
        """
        if authorization is not None or ticket is None:
            return self.authenticate(authorization=authorization, cookie=cookie, ticket=None, method="GET", stream_id=None)
        claims = self._verify(ticket, TICKET_AUDIENCE)
        stream_id = claims.get("stream_id")
        if not isinstance(stream_id, str):
            raise Problem("UNAUTHORIZED", "This ticket names no stream; ask for one of this stream.")
        return msgspec.structs.replace(self._principal(claims), stream_id=stream_id)

    def _bearer(self, authorization: str) -> Principal:
        remembered = self._remembered.get(authorization)
        if remembered is not None and remembered.expires_at > self._now():
            return remembered
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Problem("UNAUTHORIZED", "Authorization must be: Bearer <token>.")
        principal = self._principal(self._verify(token.strip(), AUDIENCE))
        if len(self._remembered) >= REMEMBERED:
            # The one verified the longest ago; whoever still uses it is verified once more.
            del self._remembered[next(iter(self._remembered))]
        self._remembered[authorization] = principal
        return principal

    def mint_guest(self, name: str) -> Minted:
        """A new guest's token."""
        guest_id = f"guest-{secrets.token_hex(8)}"
        return self.mint(Principal(id=guest_id, name=name, guest=True, expires_at=self._now() + self._guest_ttl_s), AUDIENCE)

    def mint_ticket(self, principal: Principal, stream_id: str) -> Minted:
        """A read-only credential for one stream, which lives as long as the caller's token, 12 h at most."""
        ends = min(principal.expires_at, self._now() + TICKET_MAX_S)
        return self.mint(msgspec.structs.replace(principal, expires_at=ends, stream_id=stream_id), TICKET_AUDIENCE)

    def mint(self, principal: Principal, audience: str = AUDIENCE) -> Minted:
        """A signed token of *principal*."""
        claims: dict[str, Any] = {
            "sub": principal.id,
            "name": principal.name,
            "roles": sorted(principal.roles),
            "aud": audience,
            "iat": self._now(),
            "exp": principal.expires_at,
        }
        if principal.picture:
            claims["picture"] = principal.picture
        if principal.guest:
            claims["guest"] = True
        if principal.account_created_ms is not None:
            claims["account_created_at"] = principal.account_created_ms // 1000
        if principal.stream_id:
            claims["stream_id"] = principal.stream_id
        return Minted(jwt.encode(claims, self._secret, algorithm="HS256"), principal.expires_at, principal)

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

    def _verify(self, token: str, audience: str) -> dict[str, Any]:
        claims = self._signed.claims(token, audience) or self._checked(token, audience)
        exp = claims["exp"]
        # RFC 7519 allows fractions: `time.time() + 3600` in Python is one.
        if isinstance(exp, int) or (isinstance(exp, float) and math.isfinite(exp)):
            claims["exp"] = int(min(exp, LATEST_EXP))
            if claims["exp"] > self._now():
                return claims
        raise Problem("UNAUTHORIZED", "The token has expired; get a new one.")

    def _checked(self, token: str, audience: str) -> dict[str, Any]:
        """The claims of a token that one of the keys signed, as PyJWT sees it; but `exp`."""
        cause = "no key fits"
        for key, algorithm in self._keys:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    audience=audience,
                    # The time is ours, so that a clock moved by hand moves tokens too.
                    options={"require": ["exp", "sub", "aud"], "verify_exp": False, "verify_iat": False},
                )
            except jwt.InvalidAlgorithmError:
                continue
            except jwt.PyJWTError as error:
                cause = str(error)
                continue
            if key is self._secret:
                self._signed.accepted(token)
            return claims
        raise Problem("UNAUTHORIZED", f"The token does not hold: {cause}.")

    @staticmethod
    def _principal(claims: dict[str, Any]) -> Principal:
        sub, name, roles = claims["sub"], claims.get("name"), claims.get("roles", [])
        if not isinstance(sub, str) or SUBJECT.fullmatch(sub) is None:
            raise Problem("UNAUTHORIZED", "The token's sub must be 1-128 characters without spaces.")
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise Problem("UNAUTHORIZED", "The token's roles must be a list of strings.")
        picture = claims.get("picture")
        return Principal(
            id=sub,
            # Shown beside every comment: a site that cuts its names in the middle of an emoji leaves half a character.
            name=(text.cleaned(name, longest=text.MAX_NAME) if isinstance(name, str) else "") or sub[: text.MAX_NAME],
            picture=picture if isinstance(picture, str) and _PICTURE.fullmatch(picture) else None,
            roles=frozenset(roles) & ROLES,
            guest=claims.get("guest") is True,
            account_created_ms=_account_created_ms(claims.get("account_created_at")),
            expires_at=claims["exp"],
        )


def _account_created_ms(claim: object) -> int | None:
    """Seconds since the epoch, as in a token's other times, or RFC 3339; anything else tells nothing."""
    if isinstance(claim, (int, float)) and not isinstance(claim, bool) and 0 <= claim < 1e11:
        return int(claim * 1000)
    if isinstance(claim, str):
        with contextlib.suppress(ValueError):
            return parse_rfc3339(claim)
    return None


def badges(principal: Principal, record: StreamRecord) -> list[str]:
    """What is shown beside the name in this stream."""
    found = ["creator"] if principal.id == record.broadcaster.id else []
    found += [role for role in ("admin", "moderator", "verified") if role in principal.roles]
    return [*found, "guest"] if principal.guest else found
