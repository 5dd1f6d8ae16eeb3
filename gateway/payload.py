"""What a request's body may be: 16 kB of JSON that fits one of the contract's structs."""

import contextlib
import re
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from gateway.problems import Problem

MAX_BODY = 16 * 1024
_PATH = re.compile(r"`\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]+)`")

T = TypeVar("T")
_anything = msgspec.json.Decoder()


def decode(body: bytes, kind: type[T]) -> T:
    """Decode a JSON body.

    Raises:
        Problem: VALIDATION with status 400 for what is no JSON, and 422 for what does not fit *kind*, naming the field.
    """
    try:
        found: T = _parse(_decoder(kind), body)  # type: ignore[arg-type]  # classes are hashable
    except msgspec.ValidationError as error:
        # It is found before the rest is read, which may be no JSON at all.
        with contextlib.suppress(msgspec.ValidationError):
            _parse(_anything, body)
        raise Problem("VALIDATION", f"{_plain(str(error))}.", field=_field(str(error))) from None
    return found


def _parse(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("VALIDATION", f"The body is not JSON: {error}.", status=400) from None
    except RecursionError:
        raise Problem("VALIDATION", "The body is nested too deeply.", status=400) from None


def too_large(declared: str | None = None) -> Problem:
    """What a body over 16 kB is answered with; *declared* is its Content-Length, if it told one."""
    return Problem("PAYLOAD_TOO_LARGE", f"The body may have {MAX_BODY} bytes{f' and has {declared}' if declared else ''}.")


def declares_too_much(content_length: str | None) -> bool:
    """Whether the body need not be read at all."""
    return content_length is not None and content_length.isdecimal() and int(content_length) > MAX_BODY


@lru_cache(maxsize=64)
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    """Kept: making one costs as much as decoding with it. There are as many kinds as calls of the API."""
    return msgspec.json.Decoder(kind)


def _field(text: str) -> str | None:
    path = _PATH.search(text)
    missing = _MISSING.search(text)
    names = [part for part in ((path[1] if path else ""), (missing[1] if missing else "")) if part]
    return ".".join(names) or None


def _plain(text: str) -> str:
    return text.replace("`", "'")
