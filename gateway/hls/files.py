"""What a stream has left in the media folder: segments, and the playlist of its recording."""

import asyncio
from pathlib import Path

from gateway.hls.place import Place
from gateway.hls.reply import FOREVER, Reply

#: A segment fits many times; a whole recording is not read into memory.
MAX_FILE = 64 * 1024**2


class Files:
    """The folder that media workers write."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def read(self, place: Place) -> Reply | None:
        """The file a place names, if it is there."""
        return await asyncio.to_thread(self._read, place)

    def _read(self, place: Place) -> Reply | None:
        path = self._root / place.stream_id / place.path
        try:
            if not path.is_file() or path.stat().st_size > MAX_FILE:
                return None
            body = path.read_bytes()
        except OSError:
            return None
        return Reply(200, body, place.suffix, "no-cache" if place.is_playlist else FOREVER)
