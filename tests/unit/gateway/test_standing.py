"""A person's standing, from the token alone."""

import secrets

import jwt
import pytest

from gateway.auth import Authenticator, Principal
from gateway.problems import Problem
from gateway.standing import standing
from infra.clock import HandClock
from infra.environment import load
from infra.limit import Limit
from infra.settings import Settings, Standing

SECRET = secrets.token_hex(32)
HOUR_MS = 3_600_000


def _authenticator(clock: HandClock) -> Authenticator:
    return Authenticator(load({"OVATION_JWT_SECRET": SECRET}), clock)


def _principal(authenticator: Authenticator, clock: HandClock, **claims: object) -> Principal:
    whole = {"sub": "ada", "aud": "ovation", "exp": clock.now_ms() // 1000 + 3600, **claims}
    token = jwt.encode(whole, SECRET, algorithm="HS256")
    found = authenticator.authenticate(authorization=f"Bearer {token}", cookie=None, ticket=None, method="POST", stream_id=None)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, "normal"),
        ({"guest": True}, "normal"),
        ({"roles": ["unknown"]}, "normal"),
        ({"roles": ["verified"]}, "trusted"),
        ({"roles": ["moderator"], "account_created_at": 1_800_000_000}, "trusted"),
        ({"account_created_at": 1_800_000_000 - 23 * 3600}, "new"),
        ({"account_created_at": 1_800_000_000 - 24 * 3600}, "normal"),
        ({"account_created_at": 1_800_000_000.5}, "new"),
        ({"account_created_at": "2027-01-15T07:59:00Z"}, "new"),
        ({"account_created_at": "2020-01-15T07:59:00+01:00"}, "normal"),
        ({"account_created_at": "yesterday"}, "normal"),
        ({"account_created_at": True}, "normal"),
        ({"account_created_at": -5}, "normal"),
        ({"account_created_at": None}, "normal"),
    ],
)
def test_it_follows_the_claims(claims: dict[str, object], expected: str) -> None:
    """Any role is trusted; a young account is new; whoever tells nothing, or nonsense, is normal."""
    clock = HandClock()
    assert expected == standing(_principal(_authenticator(clock), clock, **claims), clock.now_ms(), 24)


def test_an_account_ages() -> None:
    """The same token is new today and normal tomorrow."""
    clock = HandClock()
    who = _principal(_authenticator(clock), clock, account_created_at=clock.now_ms() // 1000)
    assert ["new", "normal"] == [standing(who, clock.now_ms() + hours * HOUR_MS, 24) for hours in (1, 25)]
    assert "normal" == standing(who, clock.now_ms(), 0)


def test_a_remembered_token_ends_with_its_time() -> None:
    """A token that was verified before is refused once it has expired, and so is another that only looks like it."""
    clock = HandClock()
    authenticator = _authenticator(clock)
    token = jwt.encode({"sub": "ada", "aud": "ovation", "exp": clock.now_ms() // 1000 + 60}, SECRET, algorithm="HS256")

    def ask(bearer: str) -> Principal | None:
        return authenticator.authenticate(authorization=bearer, cookie=None, ticket=None, method="POST", stream_id=None)

    assert ask(f"Bearer {token}") == ask(f"Bearer {token}") == ask(f"bearer  {token} ")
    with pytest.raises(Problem, match="does not hold"):
        ask(f"Bearer {token[:-2]}xx")
    clock.advance(61)
    for _ in range(2):
        with pytest.raises(Problem, match="expired"):
            ask(f"Bearer {token}")


def test_tiers_follow_the_normal_limit() -> None:
    """10, 5 and 2 in 30 s; whoever changes the normal limit alone changes all three; each can be set on its own."""
    plain, wide = Settings(), load({"OVATION_LIMIT_USER_STREAM": "1000/1"})
    own = load({"OVATION_LIMIT_USER_STREAM_TRUSTED": "7/3", "OVATION_LIMIT_USER_STREAM_NEW": "1/9"})
    tiers: tuple[Standing, ...] = ("trusted", "normal", "new")

    assert [Limit(10, 30), Limit(5, 30), Limit(2, 30)] == [plain.limit_of(tier) for tier in tiers]
    assert [Limit(2000, 1), Limit(1000, 1), Limit(400, 1)] == [wide.limit_of(tier) for tier in tiers]
    assert [Limit(7, 3), Limit(5, 30), Limit(1, 9)] == [own.limit_of(tier) for tier in tiers]
    assert Limit(1, 5) == load({"OVATION_LIMIT_USER_STREAM": "1/5"}).limit_of("new")
