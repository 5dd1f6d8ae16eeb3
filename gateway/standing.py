"""How far a person is trusted with a stream's attention, from the token alone: no gateway can think otherwise."""

from gateway.auth import Principal
from infra.settings import Standing

#: The log of each standing's limit (`LIMITS_<name>`).
LIMITS: dict[Standing, str] = {
    "trusted": "user_stream_trusted",
    "normal": "user_stream",
    "new": "user_stream_new",
}


def standing(who: Principal, now_ms: int, new_account_h: float) -> Standing:
    """Trusted with any role the site gave; new for *new_account_h* hours after the account was made; else normal.

    Who started a stream is no more trusted in it than others are: guests may start streams too.
    """
    if who.roles:
        return "trusted"
    if who.account_created_ms is not None and now_ms - who.account_created_ms < new_account_h * 3_600_000:
        return "new"
    return "normal"
