"""The call for a finished recording."""

from starlette.requests import Request
from starlette.responses import Response

from gateway import requests
from gateway.problems import Problem
from schemas.api import FinishedRecording
from schemas.records import RECORDING_HLS, RECORDING_MP4
from schemas.times import rfc3339


async def get(request: Request) -> Response:
    """`GET /streams/{id}/recording`: 404 until it is ready, and when it is no longer kept."""
    who = requests.principal(request)
    record = await requests.stream(request, who)
    made = record.recording
    if made is None:
        raise Problem("NOT_FOUND", "There is no recording of this stream, or none yet.")
    return requests.answer(
        FinishedRecording(
            recording_id=made.recording_id,
            hls_url=requests.media_url(request, record, who, RECORDING_HLS),
            mp4_url=requests.media_url(request, record, who, RECORDING_MP4) if made.mp4 else None,
            duration_s=made.duration_ms / 1000,
            size_bytes=made.size_bytes,
            created_at=rfc3339(made.created_at),
        )
    )
