"""Tokens checked without PyJWT: never one that PyJWT refuses, and with the same claims."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.auth import AUDIENCE, TICKET_AUDIENCE, Authenticator
from gateway.problems import Problem
from gateway.signed import HEADERS, Signed
from infra.clock import HandClock
from infra.settings import Settings

SECRET = "0123456789abcdef" * 4
HEADER = jwt.encode({}, SECRET, algorithm="HS256").partition(".")[0]
#: What a token needs: everything else is said about these.
PLAIN: dict[str, Any] = {"aud": AUDIENCE, "sub": "ann", "exp": 1_900_000_000}

_scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8))
_values = st.one_of(_scalars, st.lists(_scalars, max_size=3), st.just(AUDIENCE), st.just([AUDIENCE]))
_claims = st.dictionaries(st.sampled_from([*PLAIN, "name", "nbf", "jti", "iat", "iss", "roles"]), _values).map(
    lambda own: PLAIN | own
)
#: A payload as text: of claims, or of none.
_payloads = st.one_of(_claims.map(lambda claims: json.dumps(claims).encode()), st.binary(max_size=40))


def seal(payload: bytes, header: str = HEADER, secret: str = SECRET, end: str = "") -> str:
    """A token of whatever *payload* is, with a signature that holds; *end* stands behind the payload's base64."""
    signed = f"{header}.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}{end}"
    signature = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def knowing() -> Signed:
    """One that has seen the usual header."""
    signed = Signed(SECRET)
    signed.accepted(seal(b"{}"))
    return signed


def as_pyjwt_sees_it(token: str, audience: str) -> dict[str, Any] | None:
    """Claims, or `None` for a token that it refuses."""
    options: Any = {"require": ["exp", "sub", "aud"], "verify_exp": False, "verify_iat": False}
    try:
        found: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], audience=audience, options=options)
    except (jwt.PyJWTError, UnicodeEncodeError):
        return None
    return found


@given(payload=_payloads, end=st.sampled_from(["", "=", "==", "A", ".", "+", "/", "é"]))
@example(payload=json.dumps(PLAIN).encode(), end="")
@example(payload=b'{"aud":"ovation","sub":"ann","exp":NaN}', end="")
@example(payload=json.dumps(PLAIN).encode() + b" ", end="")
def test_whatever_is_signed_is_taken_only_as_pyjwt_takes_it(payload: bytes, end: str) -> None:
    """Claims of any shape, payloads that are none, and base64 that is not quite."""
    token = seal(payload, end=end)
    found = knowing().claims(token, AUDIENCE)
    assert found is None or repr(found) == repr(as_pyjwt_sees_it(token, AUDIENCE))


@given(at=st.integers(0, 400), character=st.characters(codec="latin-1"), cut=st.integers(0, 3))
def test_a_token_that_was_touched_is_not_taken(at: int, character: str, cut: int) -> None:
    """Any character replaced anywhere, and any end cut off."""
    whole = seal(json.dumps(PLAIN).encode())
    at %= len(whole)
    touched = whole[:at] + character + whole[at + 1 : len(whole) - cut]
    found = knowing().claims(touched, AUDIENCE)
    assert (found is not None) == (touched == whole)


@pytest.mark.parametrize(
    "token",
    [
        seal(json.dumps(PLAIN).encode(), secret=SECRET[:-1] + "0"),
        seal(json.dumps(PLAIN).encode(), header=base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")),
        seal(json.dumps(PLAIN | {"aud": TICKET_AUDIENCE}).encode()),
        seal(json.dumps(PLAIN | {"nbf": 1_900_000_000}).encode()),
        seal(json.dumps(PLAIN | {"jti": 7}).encode()),
        seal(json.dumps(PLAIN | {"sub": 7}).encode()),
        seal(json.dumps(PLAIN | {"exp": None}).encode()),
        seal(json.dumps([PLAIN]).encode()),
        f"{HEADER}..",
        "",
    ],
)
def test_what_is_in_doubt_is_left_to_pyjwt(token: str) -> None:
    """Other secrets, unknown headers, and claims that have rules of their own."""
    assert knowing().claims(token, AUDIENCE) is None


def test_plain_tokens_are_taken() -> None:
    """What PyJWT itself writes is, once it has accepted one of them."""
    token = jwt.encode(PLAIN, SECRET, algorithm="HS256")
    signed = Signed(SECRET)
    assert signed.claims(token, AUDIENCE) is None
    signed.accepted(token)
    assert signed.claims(token, AUDIENCE) == PLAIN


def test_headers_are_bounded() -> None:
    """An issuer that writes another header each time does not fill the memory; its tokens go to PyJWT."""
    signed = Signed(SECRET)
    headers = [base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"%d"}' % n).decode().rstrip("=") for n in range(HEADERS + 1)]
    tokens = [seal(json.dumps(PLAIN).encode(), header=header) for header in headers]
    for token in tokens:
        signed.accepted(token)
    assert [signed.claims(token, AUDIENCE) is not None for token in tokens] == [True] * HEADERS + [False]


def test_an_authenticator_says_the_same_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second token costs no PyJWT; an expired one, and a ticket taken for a token, are refused as the first time."""
    clock = HandClock()
    authenticator = Authenticator(Settings(jwt_secret=SECRET), clock)
    now = clock.now_ms() // 1000
    fine = [jwt.encode(PLAIN | {"sub": name, "exp": now + 60.5}, SECRET, algorithm="HS256") for name in ("ann", "bob")]
    late = jwt.encode(PLAIN | {"exp": now - 1}, SECRET, algorithm="HS256")
    ticket = jwt.encode(PLAIN | {"aud": TICKET_AUDIENCE, "exp": now + 60}, SECRET, algorithm="HS256")

    def whose(token: str) -> str:
        who = authenticator.authenticate(
            authorization=f"Bearer {token}", cookie=None, ticket=None, method="POST", stream_id=None
        )
        return who.id if who else ""

    def refusal(token: str) -> str:
        with pytest.raises(Problem) as refused:
            whose(token)
        return refused.value.detail

    first = refusal(late), refusal(ticket)
    assert whose(fine[0]) == "ann"
    assert (refusal(late), refusal(ticket)) == first
    monkeypatch.setattr("jwt.decode", None)
    assert whose(fine[1]) == "bob"
