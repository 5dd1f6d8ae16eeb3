"""A long show in three takes: the encoder is killed twice and comes back, people talk all the while, then it ends."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from bench.reel import Reel, Take, take
from tests.processes import Client
from tests.shows import QUIET_S, Show
from tests.ups import Up, running
from tests.waits import eventually

#: Parts of the whole, and how long the encoder is away after each.
TAKES = (0.3, 0.45, 0.25)
AWAY_S = (3.0, 6.0)


class LongShow(Show):
    """A stream that has ended, what was sent of it, and what was said, by comment id."""

    def __init__(self, up: Up, ada: Client, stream_id: str) -> None:
        super().__init__(up, ada, stream_id)
        self.takes: list[Take] = []
        #: What was said while the encoder was away: nobody filmed it.
        self.unfilmed: set[str] = set()
        #: From the stream's end to a recording that can be played.
        self.made_s = 0.0

    @property
    def sent_s(self) -> float:
        """What was sent of all takes."""
        return sum(each.seconds for each in self.takes)

    @property
    def late_s(self) -> float:
        """The most that anything was sent late by."""
        return max(each.late_s for each in self.takes)

    def take_at(self, at_ms: int) -> Take:
        """The take that was live at *at_ms*, or the one before."""
        return next((each for each in reversed(self.takes) if each.zero_ms <= at_ms), self.takes[0])


@contextlib.asynccontextmanager
async def performed(
    folder: Path, footage: Reel, takes: Sequence[float], settings: Mapping[str, object]
) -> AsyncIterator[LongShow]:
    """A show with *takes* of so many seconds, on an `up` with *settings*; its recording can be played."""
    limits = {"limit_user_stream": "1000/1", "limit_user": "1000/1"}
    async with running(folder, transcode_heights=0, **limits, **settings) as up, await Client(up.url).guest() as ada:
        stream = await ada.start("A long show")
        show = LongShow(up, ada, stream["stream_id"])
        url = f"rtmp://127.0.0.1:{up.ports['rtmp_port']}/live/{stream['stream_key']}"
        for seconds, away_s in itertools.zip_longest(takes, AWAY_S[: len(takes) - 1], fillvalue=0.0):
            async with take(footage, url) as made:
                show.takes.append(made)
                until = time.monotonic() + seconds
                await show.video("live")
                # What was filmed in an encoder's last moment may be lost with it: nobody talks then.
                await show.talk(until - QUIET_S - time.monotonic())
                await asyncio.sleep(max(0.0, until - time.monotonic()))
            if away_s:
                await show.video("interrupted")
                show.unfilmed.add(await show.say())
                await asyncio.sleep(away_s)
        ended = time.monotonic()
        (await ada.http.post(f"/streams/{show.stream_id}/end")).raise_for_status()
        await eventually(show.is_recorded, timeout=120)
        show.made_s = time.monotonic() - ended
        yield show
