"""One stream's parts on their way to the spool: never in the way of viewers, and whole to the last part that came.

A part is appended to its segment's file as it comes; with the last one the file gets its final name and goes home. Where that
cannot be (the disk is slow, full or away, the spool is full), the recording has a gap to the next segment, counted and logged.
"""

import os
from collections.abc import Callable
from functools import partial

from msgspec import structs

from infra.telemetry import logs, metrics
from workers.media.cmaf.writer import Part
from workers.media.recording import names
from workers.media.recording.names import Segment
from workers.media.recording.pen import Pen
from workers.media.recording.spool import Spool

#: Bytes of one stream that may wait for the disk: half a minute of 4 Mbit/s.
QUEUE_BYTES = 16 * 1024**2


class _File:
    """A segment that is being filled. Only the pen's thread has it."""

    def __init__(self, spool: Spool, stream_id: str, rendition: str, segment: Segment) -> None:
        self.segment = segment
        self.size = self.lasts_ms = 0
        self.path = spool.path(stream_id, rendition, segment.opened)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._spool = spool
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def append(self, part: Part) -> None:
        """Add *part* whole, or not at all."""
        rest = memoryview(part.data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self.size)
            os.lseek(self._file, self.size, os.SEEK_SET)
            raise
        self.size += len(part.data)
        self.lasts_ms += part.duration_ms
        self._spool.count(len(part.data))

    def close(self) -> str | None:
        """Give it its final name, which is returned; `None` where there is nothing in it."""
        os.close(self._file)
        if not self.lasts_ms:
            self.path.unlink(missing_ok=True)
            return None
        whole = self.path.with_name(structs.replace(self.segment, duration_ms=self.lasts_ms).name)
        self.path.rename(whole)
        return whole.name

    def drop(self) -> None:
        """There was no such segment after all."""
        os.close(self._file)
        self.path.unlink(missing_ok=True)
        self._spool.count(-self.size)


class Recorder:
    """Used from the event loop; what writes is done by *pen*."""

    def __init__(
        self, stream_id: str, spool: Spool, pen: Pen, may_write: Callable[[], bool], ready: Callable[[str, int], None]
    ) -> None:
        """*may_write* is asked before each part, from the pen's thread; *ready* is told there of files to take home."""
        self._stream_id = stream_id
        self._spool = spool
        self._pen = pen
        self._may_write = may_write
        self._ready = ready
        self._files: dict[str, _File] = {}
        self._gaps: set[str] = set()
        # Two counts, each written by one thread.
        self._put = self._done = 0
        self._log = logs.get(__name__).bind(stream_id=stream_id)

    def describe(self, rendition: str, generation: int, data: bytes) -> None:
        """A generation of *rendition* begins: *data* is its initialisation segment."""
        self._pen.put(partial(self._describe, rendition, generation, data))

    def take(self, rendition: str, segment: Segment, part: Part) -> None:
        """The next part of *rendition*, of *segment*. Returns at once."""
        if part.opens:
            self._gaps.discard(rendition)
        if rendition in self._gaps:
            return
        if self._put - self._done + len(part.data) > QUEUE_BYTES:
            self._lose(rendition, "queue")
            return
        self._put += len(part.data)
        self._pen.put(partial(self._take, rendition, segment, part))

    def drop(self, rendition: str) -> None:
        """The segment of *rendition* that was being filled is a gap: none of it is kept."""
        self._gaps.add(rendition)
        self._pen.put(partial(self._drop, rendition))

    def close(self) -> None:
        """Nothing more comes: what is being filled ends here."""
        self._pen.put(self._close_all)

    def _lose(self, rendition: str, reason: str) -> None:
        self._gaps.add(rendition)
        self._lost(rendition, reason)
        self._pen.put(partial(self._close, rendition))

    def _lost(self, rendition: str, reason: str, error: str = "") -> None:
        metrics.RECORDING_LOST.labels(reason).inc()
        self._log.error("the recording has a gap", rendition=rendition, reason=reason, error=error)

    # What follows runs on the pen's thread.

    def _describe(self, rendition: str, generation: int, data: bytes) -> None:
        if not self._may_write():
            return
        path = self._spool.path(self._stream_id, rendition, names.init(generation))
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(data)
        part.replace(path)
        self._ready(f"{rendition}/{path.name}", 0)

    def _take(self, rendition: str, segment: Segment, part: Part) -> None:
        self._done += len(part.data)
        if not self._may_write():
            self._close(rendition)
            return
        try:
            if part.opens:
                self._close(rendition)
                if self._spool.full:
                    self._lost(rendition, "spool")
                    return
                self._files[rendition] = _File(self._spool, self._stream_id, rendition, segment)
            file = self._files.get(rendition)
            if file is None:
                return
            file.append(part)
        except OSError as error:
            self._lost(rendition, "disk", str(error))
            self._close(rendition)
            return
        if part.closes:
            self._close(rendition)

    def _close(self, rendition: str) -> None:
        file = self._files.pop(rendition, None)
        if file is None:
            return
        name = file.close()
        if name is not None:
            metrics.RECORDED.inc()
            self._ready(f"{rendition}/{name}", file.size)

    def _drop(self, rendition: str) -> None:
        file = self._files.pop(rendition, None)
        if file is not None:
            file.drop()

    def _close_all(self) -> None:
        for rendition in list(self._files):
            self._close(rendition)
