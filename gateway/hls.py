"""The HLS origin: playlists that are always asked for again, segments that never change."""

import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from gateway import requests
from gateway.access import may_watch
from gateway.problems import Problem
from schemas.streamid import is_stream_id

#: RFC 8216, section 4 and 10: the playlists' own type; CMAF segments are MP4.
TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
}
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_CORS = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
LIVE = {"cache-control": "no-cache", **_CORS}
FOREVER = {"cache-control": "public, max-age=31536000, immutable", **_CORS}


async def serve(request: Request) -> Response:
    """`GET /hls/{stream_id}/...`."""
    path = await _file(request)
    if path is None:
        return PlainTextResponse("There is no such file, or not yet.\n", 404, {"cache-control": "no-cache", **_CORS})
    headers = LIVE if path.suffix == ".m3u8" else FOREVER
    return FileResponse(path, headers=headers, media_type=TYPES[path.suffix])


async def _file(request: Request) -> Path | None:
    """The file a path names; every part is a plain name, so that nothing outside the folder can be named."""
    stream_id, parts = request.path_params["stream_id"], request.path_params["path"].split("/")
    if not is_stream_id(stream_id) or len(parts) > 3 or not all(_NAME.fullmatch(part) for part in parts):
        return None
    deps = requests.deps(request)
    try:
        record = await deps.directory.get(stream_id)
    except Problem:
        return None
    if not may_watch(requests.principal(request), record):
        return None
    path = deps.settings.media_path() / stream_id / Path(*parts)
    return path if path.suffix in TYPES and path.is_file() else None
