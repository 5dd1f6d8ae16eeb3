"""Where people put the key."""

import pytest

from workers.media.rtmp.streamkey import MAX_NAME, is_our_app, stream_key


@pytest.mark.parametrize(
    ("app", "name", "expected"),
    [
        ("live", "KEY", "KEY"),
        ("live", "KEY?x=y", "KEY"),
        ("live/", "/KEY", "KEY"),
        ("live", " KEY ", "KEY"),
        ("live", "?key=KEY", "KEY"),
        ("live", "show?key=KEY&x=y", "KEY"),
        ("live?key=KEY", "", "KEY"),
        ("live?key=KEY", "show", "KEY"),
        ("live?key=other", "show?key=KEY", "KEY"),
        ("live/KEY", "", "KEY"),
        ("live/other", "KEY", "KEY"),
        ("live", "?key=K%45Y", "KEY"),
        ("live", "KEY?keys=other&key=", "KEY"),
        ("live", "", ""),
        ("live", "?", ""),
        ("live", "x" * (MAX_NAME + 1), ""),
        ("live", "KEY?" + "a=1&" * 200, "KEY"),
    ],
)
def test_the_key_is_found(app: str, name: str, expected: str) -> None:
    """A `key=` says what it is and wins; then the name; then what was pasted behind the server's address."""
    assert expected == stream_key(app, name)


@pytest.mark.parametrize("app", ["live", "live/", "/live", "live?key=K", "live/K", " live"])
def test_the_application(app: str) -> None:
    """However it is spelt."""
    assert is_our_app(app)


@pytest.mark.parametrize("app", ["", "vod", "lively", "x/live", "?live", "live" + "/" * MAX_NAME])
def test_other_applications(app: str) -> None:
    """There is one."""
    assert not is_our_app(app)
