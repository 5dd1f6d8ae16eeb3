"""The reference pages are written from the code."""

from infra.limit import Limit
from infra.settings import PREFIX, Settings
from scripts.reference import rows, shown


def test_every_setting_has_a_row_with_a_meaning() -> None:
    """A field without a comment above it would be a setting nobody is told about."""
    told = {name: meaning for name, _, meaning in rows()}

    assert [PREFIX + field.upper() for field in Settings.__struct_fields__] == list(told)
    assert [] == [name for name, meaning in told.items() if not meaning.endswith(".")]


def test_defaults_are_shown_as_they_would_be_written() -> None:
    """What stands in the table can be put into the environment."""
    assert ["`5/30`", "`true`", "`24`", "`0.5`", "empty", "`8080`"] == [
        shown(default) for default in (Limit(5, 30), True, 24.0, 0.5, "", 8080)
    ]
