"""The distance between keyframes: viewers can begin, and segments be cut, only at one."""

from workers.media.flv import VIDEO, Tag
from workers.media.rtmp.errors import Refused

#: Encoders write whole milliseconds, and 2 s at 29.97 pictures a second are 2002.
_ROUNDING_MS = 50
#: Pictures this far apart are a pause of the encoder; what it skipped is no distance between keyframes.
_PAUSE_MS = 1000


class Keyframes:
    """Watches one publisher's pictures."""

    def __init__(self, warn_s: float, most_s: float) -> None:
        self._warn_s = warn_s
        self._most_s = most_s
        self._since: int | None = None
        self._last = 0
        self._warned = False

    def take(self, tag: Tag) -> str | None:
        """Look at *tag*; returns what to tell the broadcaster, once, when keyframes are further apart than is good.

        Raises:
            Refused: further apart than can be packaged.
        """
        if tag.type != VIDEO or tag.is_header:
            return None
        if self._since is None or not 0 <= tag.timestamp - self._last <= _PAUSE_MS:
            self._since = self._last = tag.timestamp
            return None
        self._last = tag.timestamp
        distance = tag.timestamp - self._since
        if distance > self._most_s * 1000 + _ROUNDING_MS:
            msg = (
                f"No keyframe for {distance / 1000:.0f} s; this server needs one at least every {self._most_s:g} s. "
                "Set the encoder's keyframe interval to 1 s (OBS: Settings, Output, Keyframe Interval)."
            )
            raise Refused("keyframes", msg)
        if not tag.is_keyframe:
            return None
        self._since = tag.timestamp
        if self._warned or distance <= self._warn_s * 1000 + _ROUNDING_MS:
            return None
        self._warned = True
        return (
            f"Keyframes are {distance / 1000:.1f} s apart, which delays the video by as much. "
            "Set the encoder's keyframe interval to 1 s (OBS: Settings, Output, Keyframe Interval)."
        )
