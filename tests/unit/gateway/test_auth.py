"""Tokens that a site has signed: whatever their claims hold, they are a person or a 401."""

import json

import msgspec
import pytest

from gateway.auth import LATEST_EXP, Authenticator, Principal
from gateway.problems import Problem
from infra.clock import HandClock
from infra.settings import Settings
from tests.unit.gateway.test_signed import SECRET, seal


def _principal(**claims: object) -> Principal:
    """Who comes with *claims*, by way of PyJWT and then without it."""
    authenticator = Authenticator(Settings(jwt_secret=SECRET), HandClock())
    whole = {"sub": "ann", "aud": "ovation", "exp": 1_900_000_000, **claims}
    first, second = json.dumps(whole), json.dumps({**whole, "iat": 0})
    found: list[Principal] = []
    for payload in (first, second):
        token = seal(payload.encode())
        who = authenticator.authenticate(
            authorization=f"Bearer {token}", cookie=None, ticket=None, method="POST", stream_id=None
        )
        assert who is not None
        found.append(who)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ann", "Ann"),
        (" Ann\nLee ", "Ann Lee"),
        ("\u202eAnn\u0000\u001b", "Ann"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("Ann \ud83d", "Ann"),
        ("x" * 300, "x" * 40),
        ("x" * 39 + " y", "x" * 39),
        ("\u200b", "ann"),
        ("", "ann"),
        (None, "ann"),
        (7, "ann"),
    ],
)
def test_names_are_cleaned(name: object, shown: str) -> None:
    """One line, 40 characters, nothing invisible, and always something that can be sent: half an emoji cannot."""
    who = _principal(name=name)

    assert shown == who.name
    assert msgspec.json.encode(who)


@pytest.mark.parametrize(
    ("picture", "kept"),
    [
        ("https://a.example/b.png?c=d", "https://a.example/b.png?c=d"),
        ("http://a.example/ü", "http://a.example/ü"),
        ("https://a.example/\ud83d", None),
        ("https://", None),
        ("https://a b", None),
        ("javascript:alert(1)", None),
        (7, None),
    ],
)
def test_pictures_are_addresses(picture: object, kept: str | None) -> None:
    """Of the web, and such as can be sent; without one there is none."""
    assert kept == _principal(picture=picture).picture


def test_times_beyond_all_calendars() -> None:
    """A token for ever is one for very long: no number in it is too large."""
    assert [LATEST_EXP] * 3 == [_principal(exp=exp).expires_at for exp in (10**15, 10**400, 1e300)]


@pytest.mark.parametrize("sub", ["half \ud83d", "\ud83d", "a b", "", "x" * 129])
def test_who_cannot_be_named_is_nobody(sub: str) -> None:
    """An id is part of every comment, so it must be something that can be sent."""
    with pytest.raises(Problem) as refused:
        _principal(sub=sub)

    assert "UNAUTHORIZED" == refused.value.code


def test_an_exp_that_is_no_time_is_refused() -> None:
    """Infinity and NaN are numbers to Python's JSON alone."""
    authenticator = Authenticator(Settings(jwt_secret=SECRET), HandClock())
    bad: list[object] = [float("inf"), float("nan"), float("-inf"), True, "1900000000", []]
    for exp in bad:
        token = seal(json.dumps({"sub": "ann", "aud": "ovation", "exp": exp}).encode())
        with pytest.raises(Problem) as refused:
            authenticator.authenticate(authorization=f"Bearer {token}", cookie=None, ticket=None, method="GET", stream_id=None)
        assert "UNAUTHORIZED" == refused.value.code


def test_a_ticket_says_why_it_is_refused() -> None:
    """A ticket of this stream that should write is not told to get another of this stream."""
    authenticator = Authenticator(Settings(jwt_secret=SECRET), HandClock())
    claims = {"sub": "ann", "aud": "ovation-ticket", "exp": 1_900_000_000, "stream_id": "s1"}
    ticket = seal(json.dumps(claims).encode())

    with pytest.raises(Problem, match="only reads"):
        authenticator.authenticate(authorization=None, cookie=None, ticket=ticket, method="POST", stream_id="s1")
    with pytest.raises(Problem, match="another stream"):
        authenticator.authenticate(authorization=None, cookie=None, ticket=ticket, method="GET", stream_id="s2")
    who = authenticator.authenticate(authorization=None, cookie=None, ticket=ticket, method="GET", stream_id="s1")
    assert who is not None
    assert who.read_only
