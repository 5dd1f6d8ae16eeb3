"""Who is let in to a stream's video: everybody, the holder of a playback URL, or whoever else may watch."""

from gateway.access import Access, Visitor
from gateway.directory import StreamDirectory
from gateway.playback import Playback, split


class Entrance:
    """The rule of `gateway.access`, for addresses below `/hls/`."""

    def __init__(self, directory: StreamDirectory, access: Access, playback: Playback) -> None:
        self._directory = directory
        self._access = access
        self._playback = playback

    def through(self, stream_id: str, path: str) -> tuple[str, bool] | None:
        """The path without its token, and whether the answer is for this viewer alone; `None` where it takes more to say so."""
        record = self._directory.known(stream_id)
        if record is None:
            return None
        token, rest = split(path)
        if token is None:
            return (rest, False) if record.privacy == "public" else None
        holder: Visitor | None = self._playback.holder(stream_id, token)
        if holder is None or not self._access.decided(holder, record):
            return None
        return rest, True
