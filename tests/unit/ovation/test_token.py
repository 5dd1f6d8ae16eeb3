"""Tokens minted by hand: what would not hold is not handed out."""

import pytest

from infra.environment import load
from infra.errors import BadSettings
from ovation.token import mint

SETTINGS = load({"OVATION_JWT_SECRET": "s" * 64})


def test_a_token_is_minted() -> None:
    """Three parts, signed."""
    assert mint(SETTINGS, "ada", "Ada", "moderator", 0.001).count(".") == 2


@pytest.mark.parametrize(
    ("sub", "roles", "hours", "says"),
    [
        ("a b", "", 1, "--sub"),
        ("", "", 1, "--sub"),
        ("ada", "king", 1, "--roles"),
        ("ada", "", -1, "--hours"),
        ("ada", "", 0.0001, "--hours"),
        ("ada", "", float("nan"), "--hours"),
        ("ada", "", float("inf"), "--hours"),
        ("ada", "", 1e300, "--hours"),
    ],
)
def test_what_would_not_hold_is_refused(sub: str, roles: str, hours: float, says: str) -> None:
    """And the option is named."""
    with pytest.raises(BadSettings, match=says):
        mint(SETTINGS, sub, "Ada", roles, hours)
