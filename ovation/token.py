"""Minting tokens by hand, for moderators, scripts and tests."""

import msgspec

from gateway.auth import ROLES, SUBJECT, Authenticator, Principal
from infra.clock import SystemClock
from infra.errors import BadSettings
from infra.settings import Settings
from ovation.datadir import DataDir

#: `exp` is in whole seconds.
SHORTEST_H = 1 / 3600
#: Ten years.
LONGEST_H = 10 * 365 * 24


def mint(settings: Settings, sub: str, name: str, roles: str, hours: float) -> str:
    """A token for *sub*, signed with OVATION_JWT_SECRET or the data directory's own secret.

    Raises:
        BadSettings: there is no secret, an unknown role, or a token that would not hold.
    """
    wanted = frozenset(filter(None, (role.strip() for role in roles.split(","))))
    if unknown := wanted - ROLES:
        msg = f"--roles: {', '.join(sorted(unknown))}: there are {', '.join(sorted(ROLES))}"
        raise BadSettings(msg)
    if SUBJECT.fullmatch(sub) is None:
        msg = f"--sub {sub!r}: 1-128 characters without spaces, or the token is refused"
        raise BadSettings(msg)
    if not SHORTEST_H <= hours < LONGEST_H:
        msg = f"--hours {hours:g}: at least a second and less than {LONGEST_H}"
        raise BadSettings(msg)
    secret = settings.jwt_secret or DataDir(settings.data_dir).existing_secret()
    if not secret:
        msg = f"there is no secret in {settings.data_dir}; set OVATION_JWT_SECRET, or run `ovation up` once"
        raise BadSettings(msg)
    clock = SystemClock()
    authenticator = Authenticator(msgspec.structs.replace(settings, jwt_secret=secret), clock)
    expires_at = clock.now_ms() // 1000 + round(hours * 3600)
    return authenticator.mint(Principal(id=sub, name=name or sub, roles=wanted, expires_at=expires_at)).token
