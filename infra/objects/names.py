"""Names of objects: a grammar so narrow that no name leaves its home, in a folder or on a service."""

import re

_WORD = "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}"
_NAME = re.compile(rf"{_WORD}(?:/{_WORD})*")
#: S3 takes no longer key, and no file system a longer path with room for its own folder.
LONGEST = 1024


def is_name(text: str) -> bool:
    """Whether *text* can be an object's name."""
    return len(text) <= LONGEST and _NAME.fullmatch(text) is not None


def checked(name: str) -> str:
    """*name*, if it is one.

    Raises:
        ValueError: it is none; whoever asks made it from something that nobody looked at.
    """
    if not is_name(name):
        msg = f"{name[:LONGEST]!r} is no name of an object"
        raise ValueError(msg)
    return name
