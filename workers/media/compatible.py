"""Whether a stream can be shown yet: what encoders send in HEVC or AV1 many players cannot play.

A player that finds nothing but that in the master playlist gives up for good, so such a stream waits for a rendition in
H.264, for as long as one may be expected.
"""

from collections.abc import Sequence

from workers.media.flv import AVC, NAMES
from workers.media.variants import SOURCE

#: Segments of the passthrough after which nobody waits for FFmpeg any longer.
PATIENCE = 6


class Compatible:
    """The renditions of one generation, judged by their codec."""

    def __init__(self, codec: int, heights: Sequence[int]) -> None:
        """*codec* of the passthrough, as `flv` numbers them; *heights* are transcoded to H.264."""
        self._codec = codec
        self._patience = PATIENCE if codec != AVC and heights else 0

    @property
    def waits(self) -> bool:
        """Whether it is too early to show the stream."""
        return self._patience > 0

    def published(self, name: str) -> None:
        """A segment of rendition *name* can be fetched."""
        self._patience = max(0, self._patience - 1) if name == SOURCE else 0

    def only(self, heights: Sequence[int]) -> str | None:
        """No other *heights* than these are transcoded (any more); returns what the broadcaster should know of it."""
        if heights:
            return None
        self._patience = 0
        if self._codec == AVC:
            return None
        return (
            f"Viewers whose player cannot play {NAMES[self._codec]} see nothing: this server has no processor time to make "
            "H.264 of it. Set the encoder to H.264 (x264, NVENC H.264, ...)."
        )
