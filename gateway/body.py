"""Request bodies, bounded before they are read, and decoded into the contract's structs."""

import re
from typing import TypeVar

import msgspec
from starlette.requests import Request

from gateway.problems import Problem

MAX_BODY = 16 * 1024
_PATH = re.compile(r"`\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]+)`")

T = TypeVar("T")


async def read(request: Request, kind: type[T]) -> T:
    """Read and decode a JSON body.

    Raises:
        Problem: PAYLOAD_TOO_LARGE above 16 kB, without reading the rest; VALIDATION as `decode`.
    """
    return decode(await _bounded(request), kind)


def decode(body: bytes, kind: type[T]) -> T:
    """Decode a JSON body.

    Raises:
        Problem: VALIDATION with status 400 for what is no JSON, and 422 for what does not fit *kind*, naming the field.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Problem("VALIDATION", f"{_plain(str(error))}.", field=_field(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("VALIDATION", f"The body is not JSON: {error}.", status=400) from None
    except RecursionError:
        raise Problem("VALIDATION", "The body is nested too deeply.", status=400) from None


async def _bounded(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > MAX_BODY:
        raise Problem("PAYLOAD_TOO_LARGE", f"The body may have {MAX_BODY} bytes and has {declared}.")
    parts = bytearray()
    async for chunk in request.stream():
        parts += chunk
        if len(parts) > MAX_BODY:
            raise Problem("PAYLOAD_TOO_LARGE", f"The body may have {MAX_BODY} bytes.")
    return bytes(parts)


def _field(text: str) -> str | None:
    path = _PATH.search(text)
    missing = _MISSING.search(text)
    names = [part for part in ((path[1] if path else ""), (missing[1] if missing else "")) if part]
    return ".".join(names) or None


def _plain(text: str) -> str:
    return text.replace("`", "'")
