"""The call for a finished recording."""

from starlette.requests import Request
from starlette.responses import Response

from gateway import requests
from gateway.problems import Problem
from schemas.api import FinishedRecording
from schemas.records import RECORDING_HLS, RECORDING_POSTER, mp4_path, strip_path, versioned
from schemas.times import rfc3339


async def get(request: Request) -> Response:
    """`GET /streams/{id}/recording`: 404 until it is ready, and when it is no longer kept."""
    who = requests.principal(request)
    record = await requests.stream(request, who)
    made = record.recording
    if made is None:
        raise Problem("NOT_FOUND", "There is no recording of this stream, or none yet.")

    def url(path: str | None) -> str | None:
        return requests.media_url(request, record, who, path) if path else None

    return requests.answer(
        FinishedRecording(
            recording_id=made.recording_id,
            hls_url=requests.media_url(request, record, who, RECORDING_HLS),
            mp4_url=url(mp4_path(made)),
            poster_url=url(versioned(RECORDING_POSTER, made.version)) if made.pictures else None,
            strip_url=url(strip_path(record)),
            duration_s=made.duration_ms / 1000,
            size_bytes=made.size_bytes,
            created_at=rfc3339(made.created_at),
        )
    )
