"""The web pages: one page for all addresses, its assets by hashed names."""

import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

#: Where `./just web` builds to.
DIST = Path(__file__).resolve().parents[1] / "web" / "dist"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
_POLICY = (
    "default-src 'self'; img-src 'self' data: https:; media-src 'self' blob: https:; style-src 'self' 'unsafe-inline'; "
    "worker-src 'self' blob:; connect-src 'self' https:; frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
)
PAGE = {
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
ASSET = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


async def page(_request: Request) -> Response:
    """`/` and `/watch/{id}`."""
    index = DIST / "index.html"
    if not index.is_file():
        return PlainTextResponse("The pages are not built yet. Run: ./just web\n", 503)
    return FileResponse(index, headers=PAGE, media_type="text/html; charset=utf-8")


async def asset(request: Request) -> Response:
    """`/assets/*`, and the few files beside the page."""
    name = request.path_params["name"]
    folder = DIST / "assets" if request.url.path.startswith("/assets/") else DIST
    path = folder / name
    if _NAME.fullmatch(name) is None or not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, headers=ASSET if folder != DIST else PAGE)
