"""Minting tokens by hand, for moderators, scripts and tests."""

import msgspec

from gateway.auth import ROLES, Authenticator, Principal
from infra.clock import SystemClock
from infra.errors import BadSettings
from infra.settings import Settings
from ovation.datadir import DataDir


def mint(settings: Settings, sub: str, name: str, roles: str, hours: float) -> str:
    """A token for *sub*, signed with OVATION_JWT_SECRET or the data directory's own secret.

    Raises:
        BadSettings: there is no secret, or an unknown role.
    """
    wanted = frozenset(filter(None, (role.strip() for role in roles.split(","))))
    if unknown := wanted - ROLES:
        msg = f"--roles: {', '.join(sorted(unknown))}: there are {', '.join(sorted(ROLES))}"
        raise BadSettings(msg)
    secret = settings.jwt_secret or DataDir(settings.data_dir).existing_secret()
    if not secret:
        msg = f"there is no secret in {settings.data_dir}; set OVATION_JWT_SECRET, or run `ovation up` once"
        raise BadSettings(msg)
    clock = SystemClock()
    authenticator = Authenticator(msgspec.structs.replace(settings, jwt_secret=secret), clock)
    expires_at = clock.now_ms() // 1000 + int(hours * 3600)
    return authenticator.mint(Principal(id=sub, name=name or sub, roles=wanted, expires_at=expires_at)).token
