"""Bodies: what is no JSON is told from what does not fit, wherever in the body either begins."""

import pytest

from gateway import payload
from gateway.problems import Problem
from schemas.api import NewComment


def _refused(body: bytes) -> tuple[int, str | None]:
    with pytest.raises(Problem) as refused:
        payload.decode(body, NewComment)
    assert "VALIDATION" == refused.value.code
    return refused.value.status, refused.value.field


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"text": "a"',
        b'{"text": "a"} and more',
        b'{"text": 5',
        b'{"text": 5, "b": }',
        b'["a"',
        b'"a',
        b"5 x",
        b"[" * 10_000,
        b'{"text": null, "b": \xff"}',
    ],
)
def test_what_is_no_json_is_400(body: bytes) -> None:
    """Also where something else is wrong first: the client does not write JSON, and no field is at fault."""
    assert (400, None) == _refused(body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", None),
        (b"5", None),
        (b"{}", "text"),
        (b'{"text": 5}', "text"),
        (b'{"text": 5, "b": %d}' % 10**60, "text"),
        (b'{"text": 5, "b": 1e999}', "text"),
        (b'{"text": "a", "parent_comment_id": {}}', "parent_comment_id"),
    ],
)
def test_what_does_not_fit_is_422(body: bytes, field: str | None) -> None:
    """JSON of another shape names the field; whatever stands in fields that nobody asked for."""
    assert (422, field) == _refused(body)
