"""All broadcasts of this worker: admission by key, and ends that come from elsewhere (a new key, an ended stream)."""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path

from infra.clock import Clock
from infra.errors import Unavailable
from infra.telemetry import logs
from schemas.streamid import is_stream_id, made_ms
from workers.media.broadcast import Broadcast, Terms
from workers.media.filing import Filing
from workers.media.journal import Journal
from workers.media.ladder import Budget
from workers.media.ownership import Ownership
from workers.media.publication import Publication
from workers.media.publisher import Publisher
from workers.media.recording.recordings import Recordings, Standing
from workers.media.report import Report
from workers.media.streams import BroadcastRegistry, KeyRefused, StreamChanged

_WATCH_AGAIN_S = 1.0
#: What an encoder may take to come back after a worker was restarted.
RETURN_S = 10.0
#: What writing the last state may take when the worker stops.
DRAIN_S = 8.0


class Broadcasts:
    """One `Broadcast` per stream that published here since the worker started, until it ends."""

    def __init__(
        self,
        *,
        registry: BroadcastRegistry,
        ownership: Ownership,
        journal: Journal,
        folder: Path,
        clock: Clock,
        budget: Budget,
        terms: Terms,
        recordings: Recordings | None = None,
        told: Callable[[StreamChanged], None] = lambda _: None,
    ) -> None:
        """*recordings*: where what is broadcast stays, if it does; *told* is told of every change of a record, too."""
        self._registry = registry
        self._ownership = ownership
        self._journal = journal
        self._folder = folder
        self._clock = clock
        self._budget = budget
        self._terms = terms
        self._recordings = recordings
        self._told = told
        self._broadcasts: dict[str, Broadcast] = {}
        self._keys: dict[str, str] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._releasing: set[asyncio.Task[None]] = set()
        self._log = logs.get(__name__)

    @property
    def live(self) -> Mapping[str, Broadcast]:
        """By stream id."""
        return self._broadcasts

    async def admit(self, key: str, publisher: Publisher) -> Broadcast:
        """Let *publisher* send the video of *key*'s stream; whoever sent it before is cut.

        Raises:
            KeyRefused: the key may not publish.
            infra.errors.Unavailable: the registry or the media folder does not answer.
        """
        found = await self._registry.authorise(key)
        stream_id = found.stream_id
        if not is_stream_id(stream_id):
            msg = "The stream key names no stream."
            raise KeyRefused(msg)
        # No await between the answer and this: a change of the record that comes now finds the broadcast.
        self._keys[stream_id] = found.key_sha256
        known = self._broadcasts.get(stream_id)
        if known is not None and known.lease is not None and not known.lease.held:
            # Paused past its lease, and nobody told: what is in memory is somebody's past.
            self._lost(stream_id, known)
            self._keys[stream_id] = found.key_sha256
        if stream_id not in self._broadcasts:
            recorder = None
            if self._recordings is not None:
                recorder = self._recordings.recorder(stream_id, lambda: broadcast.lease is not None and broadcast.lease.held)
            broadcast = Broadcast(
                folder=self._folder / stream_id,
                report=Report(self._registry, stream_id, lambda: broadcast.tells),
                journal=self._journal,
                clock=self._clock,
                budget=self._budget,
                terms=self._terms,
                forsaken=lambda: self._forsake(stream_id, broadcast),
                recorder=recorder,
            )
            self._broadcasts[stream_id] = broadcast
            self._opening[stream_id] = asyncio.create_task(self._open(stream_id, broadcast))
        broadcast = self._broadcasts[stream_id]
        try:
            await asyncio.shield(self._opening[stream_id])
        except (OSError, Unavailable) as error:
            if self._broadcasts.get(stream_id) is broadcast:
                self._forget(stream_id)
            msg = f"the stream cannot be taken: {error}"
            raise Unavailable(msg) from error
        if broadcast.ended or self._keys.get(stream_id) != found.key_sha256:
            msg = "The stream has ended or its key was changed."
            raise KeyRefused(msg)
        broadcast.attach(publisher)
        return broadcast

    async def _open(self, stream_id: str, broadcast: Broadcast) -> None:
        """Own the stream first: what an earlier owner wrote is complete then."""
        broadcast.lease = await self._ownership.take(stream_id, lambda: self._lost(stream_id, broadcast))
        await broadcast.publication.open()
        await self._succeed(stream_id, broadcast.publication)

    async def _succeed(self, stream_id: str, publication: Publication) -> None:
        """Another worker, with a folder of its own, may have made the last of this stream.

        Its newest segments may not be at home yet. A stream has fewer than ten segments a second, so that numbers counted in
        tenths of a second since it was made lie above all that anybody has seen of it.
        """
        if self._recordings is None:
            return
        try:
            standing = await self._recordings.standing(stream_id)
        except Unavailable as error:
            self._log.warning("nobody can tell how far the stream has come", stream_id=stream_id, error=str(error))
            if publication.generation:
                return
            standing = Standing(1, 0, 0)
        if standing is not None and standing.generation > publication.generation:
            tenths = (self._clock.now_ms() - made_ms(stream_id)) // 100
            publication.succeed(standing.generation, max(standing.following + 1, tenths), standing.longest_ms)

    def _lost(self, stream_id: str, broadcast: Broadcast) -> None:
        self._log.warning("another worker has the stream", stream_id=stream_id)
        broadcast.lose()
        if self._broadcasts.get(stream_id) is broadcast:
            self._forget(stream_id)

    def _forsake(self, stream_id: str, broadcast: Broadcast) -> None:
        """The encoder did not come back in time: its stream goes on from the folder when it does."""
        if self._broadcasts.get(stream_id) is broadcast and stream_id not in self._ending:
            self._forget(stream_id)
            broadcast.forsake()
            if broadcast.lease is not None:
                task = asyncio.create_task(broadcast.lease.release())
                self._releasing.add(task)
                task.add_done_callback(self._releasing.discard)

    async def follow(self) -> None:
        """Watch the registry for ever and act on what changed."""
        while True:
            try:
                async with aclosing(self._registry.watch()) as changes:
                    async for change in changes:
                        self._changed(change)
            except Unavailable as error:
                self._log.warning("stream records cannot be watched; trying again", error=str(error))
            await asyncio.sleep(_WATCH_AGAIN_S)

    async def disown(self) -> None:
        """Tell, for ever, of streams that a worker left as live, that nobody owns, and whose encoder has not come back.

        Encoders return within seconds, so this waits `RETURN_S` first and asks then.
        """
        while True:
            await asyncio.sleep(RETURN_S)
            try:
                for stream_id in await self._registry.live():
                    if stream_id not in self._broadcasts and not await self._ownership.owned(stream_id):
                        await self._registry.video(stream_id, "interrupted", [])
            except Unavailable as error:
                self._log.warning("live streams could not be looked after; trying again", error=str(error))

    async def drain(self) -> None:
        """Finish all of them, within `DRAIN_S`."""
        drains = [asyncio.create_task(broadcast.drain()) for broadcast in self._broadcasts.values()]
        waiting = [*drains, *self._ending.values()]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=DRAIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _changed(self, change: StreamChanged) -> None:
        """Act at once; what takes time goes on by itself, one after the other for one stream."""
        self._told(change)
        stream_id = change.stream_id
        broadcast = self._broadcasts.get(stream_id)
        if change.ended or change.deleted:
            if not is_stream_id(stream_id) or (broadcast is None and not (self._folder / stream_id).exists()):
                return
            if broadcast is not None:
                broadcast.ended = True
                broadcast.cut("The stream has ended.")
            task = asyncio.create_task(self._over(change, broadcast, self._ending.get(stream_id)))
            self._ending[stream_id] = task
            task.add_done_callback(lambda done: self._ending.pop(stream_id) if self._ending[stream_id] is done else None)
        elif broadcast is not None and self._keys[stream_id] != change.key_sha256:
            self._keys[stream_id] = change.key_sha256
            broadcast.cut("The stream key was changed; use the new one.")

    async def _over(self, change: StreamChanged, broadcast: Broadcast | None, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        folder = self._folder / change.stream_id
        try:
            if broadcast is not None:
                await self._opening[change.stream_id]
                await broadcast.end()
                if broadcast.lease is not None:
                    await broadcast.lease.release()
            elif folder.exists():
                await self._close(folder)
            if change.deleted:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        except (OSError, Unavailable) as error:
            self._log.error("the end of a stream could not be written", stream_id=change.stream_id, error=str(error))
        if self._broadcasts.get(change.stream_id) is broadcast:
            self._forget(change.stream_id)

    async def _close(self, folder: Path) -> None:
        """Close the playlists of a stream whose video nobody makes any more."""
        failures: list[OSError] = []
        filing = Filing(lambda: True, failures.append)
        publication = Publication(folder, self._clock, filing, self._terms.part_ms)
        await publication.open()
        publication.finish()
        await filing.settled()
        if failures:
            raise failures[0]

    def _forget(self, stream_id: str) -> None:
        self._broadcasts.pop(stream_id, None)
        if self._recordings is not None:
            self._recordings.leave(stream_id)
        self._opening.pop(stream_id, None)
        self._keys.pop(stream_id, None)
