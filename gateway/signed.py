"""Tokens of the secret that signs most of them (HS256), checked in 7 us where PyJWT takes 60.

A storm brings a new token with every viewer, and posts one with every few comments. What PyJWT takes most for is the same each
time: it makes sure again that the secret is no public key, reads the same header, and encodes what it has decoded.

Only what is beyond doubt is accepted here: a header that PyJWT itself has accepted in these very bytes, a signature that is
exactly ours, and claims nothing about which needs thought. Everything else is PyJWT's, which also words the refusals.
"""

import binascii
import hmac
from typing import Any

import msgspec

#: Headers that are remembered: each issuer writes the same one every time.
HEADERS = 16
#: Of a signature of 32 bytes.
_SIGNATURE = 43
#: base64url; what of base64 it does not have is made to fail.
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"===", b"==", b"=")
#: Claims with rules of their own in RFC 7519: when a token begins, and its name.
_UNUSUAL = frozenset({"nbf", "jti"})


class Signed:
    """Of one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._headers: dict[str, None] = {}

    def accepted(self, token: str) -> None:
        """Remember the header of a *token* that PyJWT has accepted as HS256 under this secret."""
        header = token.partition(".")[0]
        if len(self._headers) < HEADERS:
            self._headers[header] = None

    def claims(self, token: str, audience: str) -> dict[str, Any] | None:
        """The claims of a token for *audience*, whose `exp` is still to be looked at; `None`: ask PyJWT, which knows more."""
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        if header not in self._headers or len(signature) != _SIGNATURE or not signature.isascii() or not payload.isascii():
            return None
        made = binascii.b2a_base64(hmac.digest(self._secret, signed.encode(), "sha256"), newline=False)
        if not hmac.compare_digest(made.translate(_TO_URL), signature.encode() + b"="):
            return None
        try:
            written = binascii.a2b_base64(payload.encode().translate(_FROM_URL) + _PADDING[len(payload) % 4], strict_mode=True)
            found = msgspec.json.decode(written)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            return None
        if binascii.b2a_base64(written, newline=False).translate(_TO_URL).rstrip(b"=") != payload.encode():
            return None
        if type(found) is not dict or not _UNUSUAL.isdisjoint(found):
            return None
        plain = found.get("aud") == audience and type(found.get("sub")) is str and found.get("exp") is not None
        return found if plain else None
