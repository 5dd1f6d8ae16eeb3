"""The FLV an ffmpeg writes, cut into tags as it comes."""

from collections.abc import Iterator

from workers.media.flv import Tag

_FILE_HEADER = 9
_BACK = 4
_TAG_HEADER = 11


class FlvReader:
    """Bytes to tags. Holds one unfinished tag at most: 16 MB, the most an FLV tag can be."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[Tag]:
        """Take *data* and yield the tags that are whole.

        Raises:
            ValueError: it is no FLV.
        """
        self._buffer += data
        if not self._begun:
            if len(self._buffer) < _FILE_HEADER + _BACK:
                return
            if self._buffer[:3] != b"FLV":
                msg = "no FLV"
                raise ValueError(msg)
            del self._buffer[: _FILE_HEADER + _BACK]
            self._begun = True
        while len(self._buffer) >= _TAG_HEADER:
            size = int.from_bytes(self._buffer[1:4], "big")
            if len(self._buffer) < _TAG_HEADER + size + _BACK:
                return
            stamp = int.from_bytes(self._buffer[4:7], "big") | self._buffer[7] << 24
            tag = Tag(self._buffer[0] & 0x1F, stamp, bytes(self._buffer[_TAG_HEADER : _TAG_HEADER + size]))
            del self._buffer[: _TAG_HEADER + size + _BACK]
            yield tag
