"""Where the stream key stands: encoders have one field or two for it, and people paste it into either.

In this order, the first that is there:

1. `key=` in the query of the name:          rtmp://host/live, name `show?key=KEY`
2. `key=` in the query of the application:   rtmp://host/live?key=KEY, any name or none
3. the name without its query:               rtmp://host/live, name `KEY` or `KEY?x=y`
4. what follows the application's name:      rtmp://host/live/KEY, no name
"""

from urllib.parse import parse_qs

APP = "live"
#: Longer than any key with any query; nothing longer is taken apart.
MAX_NAME = 1024


def is_our_app(app: str) -> bool:
    """Whether *app*, as `connect` names it, is the one there is: with or without slashes, a key behind it, or a query."""
    return len(app) <= MAX_NAME and _split(app)[0].partition("/")[0] == APP


def stream_key(app: str, name: str) -> str:
    """The key in *app* and *name*; empty when there is none."""
    if len(name) > MAX_NAME:
        return ""
    path, app_query = _split(app)
    plain, name_query = _split(name)
    return _in(name_query) or _in(app_query) or plain or path.partition("/")[2]


def _split(text: str) -> tuple[str, str]:
    before, _, query = text.partition("?")
    return before.strip().strip("/"), query


def _in(query: str) -> str:
    try:
        return parse_qs(query, max_num_fields=32).get("key", [""])[0].strip()
    except ValueError:
        return ""
