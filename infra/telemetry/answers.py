"""What a route of the internal port answers."""

from typing import NamedTuple


class Answer(NamedTuple):
    """*cache* is the Cache-Control header, *retry_after* whole seconds (0: none)."""

    status: int
    kind: str
    body: bytes
    cache: str = ""
    retry_after: int = 0
