"""Recording, put together for one worker: opened before encoders are let in, closed after the last of them."""

import asyncio
import contextlib
from collections.abc import Mapping

from infra.clock import Clock
from infra.objects.contract import ObjectStore
from infra.settings import Settings
from workers.media.broadcast import Broadcast
from workers.media.command import find_ffmpeg
from workers.media.journal import Journal
from workers.media.ownership import Ownership
from workers.media.recording.claims import Claims
from workers.media.recording.duties import Duties
from workers.media.recording.finishing import Finishing
from workers.media.recording.posters import Posters
from workers.media.recording.recordings import Recordings
from workers.media.recording.spool import Spool
from workers.media.streams import BroadcastRegistry, StreamChanged


class Keeping:
    """`recordings` is what broadcasts record to."""

    def __init__(
        self,
        settings: Settings,
        home: ObjectStore | None,
        *,
        registry: BroadcastRegistry,
        ownership: Ownership,
        claims: Claims,
        clock: Clock,
        journal: Journal,
    ) -> None:
        """Without a *home*, or where `OVATION_RECORDING` says so, nothing is kept."""
        self._settings = settings
        self._registry = registry
        self._clock = clock
        self._journal = journal
        self._spool = Spool(settings.data_dir / "spool" / "media", settings.recording_spool_bytes)
        self.recordings = Recordings(home, self._spool, clock) if home is not None and settings.recording else None
        self._ownership = ownership
        self._claims = claims
        self._live = settings.media_path()
        self._duties: Duties | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, broadcasts: Mapping[str, Broadcast]) -> None:
        """Salvage what a crash left, and begin; posters are made of *broadcasts*.

        Raises:
            OSError: the spool cannot be used.
        """
        if self.recordings is None:
            return
        await self.recordings.open()
        program, home = find_ffmpeg(self._settings.ffmpeg), self.recordings.home
        work = self._spool.folder / "work"
        self._duties = Duties(
            recordings=self.recordings,
            finishing=Finishing(home=home, program=program, work=work, clock=self._clock),
            registry=self._registry,
            ownership=self._ownership,
            claims=self._claims,
            live=self._live,
            clock=self._clock,
            journal=self._journal,
            retention_days=self._settings.recording_retention_days,
        )
        posters = Posters(
            broadcasts=broadcasts,
            home=home,
            registry=self._registry,
            program=program,
            work=self._spool.folder / "posters",
            clock=self._clock,
        )
        self._tasks = [
            asyncio.create_task(self._duties.run(), name="duties of recordings"),
            asyncio.create_task(posters.run(), name="posters"),
        ]

    def changed(self, change: StreamChanged) -> None:
        """A stream's record as it is now."""
        if self._duties is not None:
            self._duties.changed(change)

    async def close(self) -> None:
        """Nothing is live here any more: take home what can be taken soon, and end."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._duties is not None:
            await self._duties.stop()
        if self.recordings is not None:
            await self.recordings.close()
