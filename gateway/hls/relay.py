"""One answer per address for all who ask: from the shelf, the owner, a file, or the last there was.

A player takes a playlist that is not there as the end. So while nobody makes a newer one (the encoder is away, the worker died)
the last one stays: a blocked reload is held, then answered with it, and goes on as soon as there is an owner again.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from gateway.hls.files import Files
from gateway.hls.lasts import Lasts
from gateway.hls.owners import Owners
from gateway.hls.place import Place
from gateway.hls.reply import AWAY, MISSING, Reply
from gateway.hls.shelf import Shelf
from gateway.hls.upstream import ANSWER_S, Upstream
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.streamleases import Owner
from infra.telemetry import logs, metrics

log = logs.get(__name__)

#: Addresses asked for at a time; past it a viewer is told to come again. A live rendition has about four.
MAX_FETCHES = 1024
FOREVER_S = 365 * 86_400.0
#: What a reload is answered with may be so old. A plain one's is forgotten sooner, when a newer playlist passes by; a blocked
#: one's serves those who are late by less than a part. Whoever asks later has the newest: video.js asks for the last part of
#: each segment twice, and with an old answer it would hear of nothing else.
FRESH_S = 0.1
#: How long a playlist is waited for before the last one is shown again (longer than the longest segment, shorter than any
#: player's patience), and how often one is looked for.
HOLD_S = 5.0
LOOK_S = 0.25
#: The longest that what is kept with the recordings stays on the shelf, where it may have to go with its stream.
KEPT_S = 3600.0
_MAX_AGE = re.compile(r"max-age=(\d{1,9})")


class Relay:
    """*has_ended* tells whether a stream is over; then its recording is its playlist."""

    def __init__(self, clock: Clock, owners: Owners, files: Files, has_ended: Callable[[str], bool], cache_bytes: int) -> None:
        self._clock = clock
        self._owners = owners
        self._files = files
        self._has_ended = has_ended
        self._upstream = Upstream(MAX_FETCHES)
        self._shelf = Shelf(clock, cache_bytes)
        self._lasts = Lasts()
        self._fetches: dict[tuple[str, str, str], asyncio.Future[Reply]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, place: Place) -> "Reply | asyncio.Future[Reply]":
        """The answer, or when it will be there; the future is shared, so never cancel it."""
        reply = self._shelf.get(place)
        if reply is not None:
            metrics.HLS_CACHED.inc()
            return reply
        fetch = self._fetches.get(place.key)
        if fetch is not None:
            metrics.HLS_JOINED.inc()
            return fetch
        if len(self._fetches) >= MAX_FETCHES:
            return AWAY
        loop = asyncio.get_running_loop()
        fetch = self._fetches[place.key] = loop.create_future()
        task = loop.create_task(self._run(place, fetch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return fetch

    async def stop(self) -> None:
        """End what is being asked for."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._upstream.stop()

    async def _run(self, place: Place, fetch: "asyncio.Future[Reply]") -> None:
        reply, source = AWAY, "failed"
        try:
            if place.is_kept:
                reply, source = await self._kept(place)
            else:
                reply, source = await (self._playlist(place) if place.is_playlist else self._piece(place))
        except Unavailable as error:
            log.warning("video not read", stream_id=place.stream_id, path=place.path, cause=str(error))
        except Exception:
            log.exception("video not fetched", stream_id=place.stream_id, path=place.path)
        finally:
            del self._fetches[place.key]
            metrics.HLS_FETCHES.labels(source).inc()
            fetch.set_result(reply)

    async def _kept(self, place: Place) -> tuple[Reply, str]:
        """What is kept with the recordings, where no worker has to be asked for it."""
        found = await self._files.read(place)
        if found is None:
            return MISSING, "missing"
        allowed = _MAX_AGE.search(found.cache)
        self._shelf.put(place, found, min(float(allowed[1]), KEPT_S) if allowed else KEPT_S)
        return found, "file"

    async def _piece(self, place: Place) -> tuple[Reply, str]:
        """What never changes: a part, a segment, an initialisation."""
        _, said = await self._from_owner(place, ANSWER_S)
        if said is None or said.status != 200:
            found = await self._files.read(place)
            if found is None:
                # A worker that is away may come back: a player gives up on a 404 and tries again on a 503.
                gone = said is None and self._owners.of(place.stream_id) is not None and not self._has_ended(place.stream_id)
                return said or (AWAY if gone else MISSING), "away" if gone else "missing"
            said, source = found, "file"
        else:
            source = "origin"
        self._shelf.put(place, said, FOREVER_S)
        return said, source

    async def _playlist(self, place: Place) -> tuple[Reply, str]:
        until = self._clock.monotonic() + HOLD_S
        while True:
            owner, said = await self._from_owner(place, max(LOOK_S, until - self._clock.monotonic()))
            if said is not None and said.status in (200, 400):
                if said.status == 200:
                    self._keep(place, said)
                return said, "origin"
            last = self._lasts.get(place)
            if last is None or self._has_ended(place.stream_id):
                found = await self._files.read(place)
                if found is not None:
                    return found, "file"
            if last is None:
                return said or (AWAY if owner else MISSING), "away" if owner else "missing"
            if said is not None and said.status == 503 and owner is not None:
                # It waited as long as it may. What it has now is what there is.
                now = await self._upstream.get(owner, place.plain)
                if now is not None and now.status == 200:
                    self._lasts.put(place, now.body)
                return self._lasts.get(place) or last, "frozen"
            left = until - self._clock.monotonic()
            if not place.blocks or left <= 0:
                return last, "frozen"
            await asyncio.wait({self._owners.moved(place.stream_id)}, timeout=min(LOOK_S, left))

    async def _from_owner(self, place: Place, seconds: float) -> tuple[Owner | None, Reply | None]:
        """The owner and what it says within *seconds*, as long as it is the owner; then the next one is asked."""
        while (owner := self._owners.of(place.stream_id)) is not None:
            moved = self._owners.moved(place.stream_id)
            asking = asyncio.create_task(self._upstream.get(owner, place))
            waiting: set[asyncio.Future[Any]] = {asking, moved}
            try:
                await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if not moved.done():
                    return owner, asking.result() if asking.done() else None
            finally:
                asking.cancel()
        return None, None

    def _keep(self, place: Place, said: Reply) -> None:
        if place.skips:
            # The last playlist has to be a whole one.
            self.ask(place.whole)
        else:
            self._lasts.put(place, said.body)
        if place.blocks:
            # A player that has seen this one must not be shown an older one.
            self._shelf.drop(place.plain)
        self._shelf.put(place, said, FRESH_S)
