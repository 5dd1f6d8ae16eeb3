"""What the media worker needs to know of streams, and tells about them. `keys.py` answers from the stream records."""

from collections.abc import AsyncGenerator, Sequence
from typing import Literal, NamedTuple, Protocol

from schemas.records import Recorded

VideoState = Literal["live", "interrupted", "ended"]


class KeyRefused(Exception):
    """This key may not publish: unknown, rotated, or its stream has ended. The text is shown to the broadcaster."""


class Authorised(NamedTuple):
    """A key that may publish: the stream it belongs to, and the digest by which a later change of key is seen."""

    stream_id: str
    key_sha256: str


class StreamChanged(NamedTuple):
    """A stream's record as it is now. *deleted* streams lose their files as well.

    *shown*: its video could be seen at some time. *recorded_ms* is when its recording became ready; `None` where there is none.
    """

    stream_id: str
    key_sha256: str
    ended: bool
    deleted: bool = False
    shown: bool = False
    ended_ms: int | None = None
    recorded_ms: int | None = None


class BroadcastRegistry(Protocol):
    """The authority on streams and keys."""

    async def authorise(self, key: str) -> Authorised:
        """Find the stream of *key*; a scheduled stream starts by it.

        Raises:
            KeyRefused: the key may not publish.
            infra.errors.Unavailable: nobody can tell right now; the encoder should try again.
        """

    async def video(self, stream_id: str, state: VideoState, qualities: Sequence[str]) -> None:
        """Write the video's state and its qualities (highest first: `["720p", "360p"]`) into the stream's record.

        Idempotent. Does nothing for a stream that has ended or is gone.

        Raises:
            infra.errors.Unavailable: it could not be written; the same call may be made again.
        """

    async def recorded(self, stream_id: str, recorded: Recorded | None) -> None:
        """Write into an ended stream's record that its recording can be played, or (`None`) is kept no longer.

        Idempotent: viewers are told once. Does nothing for a stream that is gone.

        Raises:
            infra.errors.Unavailable: it could not be written; the same call may be made again.
        """

    async def pictured(self, stream_id: str) -> None:
        """Write into the stream's record that there are a poster and a strip. Idempotent; nothing for a stream that is gone.

        Raises:
            infra.errors.Unavailable: it could not be written; the same call may be made again.
        """

    async def live(self) -> Sequence[str]:
        """The streams whose record says that their video is live.

        Raises:
            infra.errors.Unavailable: it cannot be read; the same call may be made again.
        """

    def watch(self) -> AsyncGenerator[StreamChanged, None]:
        """Yield every stream once as it is, then each change, for ever.

        Raises:
            infra.errors.Unavailable: from the iterator; call again for a new one.
        """
