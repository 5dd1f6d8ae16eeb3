"""What a deliberate mistake is."""

from typing import NamedTuple


class Bug(NamedTuple):
    """One deliberate mistake: *old* becomes *new* in *file*, and *test* must fail."""

    name: str
    what: str
    file: str
    old: str
    new: str
    test: str
