"""The media worker's life: listen, follow the registry, and on the way out finish what is being published."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from infra.clock import SystemClock
from infra.errors import BadSettings
from infra.objects.contract import ObjectStore
from infra.settings import Settings
from infra.telemetry import logs
from workers.media.broadcast import Terms
from workers.media.broadcasts import Broadcasts
from workers.media.command import find_ffmpeg
from workers.media.journal import Journal, Unkept
from workers.media.ladder import Budget
from workers.media.origin import Origin
from workers.media.ownership import Alone, Ownership
from workers.media.recording.claims import Claims, Unshared
from workers.media.recording.keeping import Keeping
from workers.media.rtmp.certificate import Certificate
from workers.media.rtmp.limits import Limits
from workers.media.rtmp.server import Server
from workers.media.streams import BroadcastRegistry


async def run(
    settings: Settings,
    registry: BroadcastRegistry,
    stopping: asyncio.Event,
    ready: Callable[[], None],
    *,
    ownership: Ownership | None = None,
    home: ObjectStore | None = None,
    claims: Claims | None = None,
    journal: Journal | None = None,
    serve: Callable[[Origin], None] = lambda _: None,
) -> None:
    """Take broadcasts until *stopping* is set; *ready* is called once encoders can connect, *serve* with what players get.

    What is broadcast is recorded to *home*, if there is one. *claims* are shared with all workers that have the same home.

    Returns after every playlist is finished and every ffmpeg gone.

    Raises:
        OSError: the RTMP port is taken or the media folder cannot be made.
        BadSettings: RTMPS cannot be offered: its certificate, its key, or its port; names the variable.
    """
    clock = SystemClock()
    file = settings.rtmps_certificate_file
    certificate = Certificate.read(file, settings.rtmps_key_file, clock) if file else None
    folder = settings.media_path()
    folder.mkdir(parents=True, exist_ok=True)
    ownership, journal = ownership or Alone(), journal or Unkept()
    shared = claims or Unshared()
    keeping = Keeping(settings, home, registry=registry, ownership=ownership, claims=shared, clock=clock, journal=journal)
    broadcasts = Broadcasts(
        registry=registry,
        ownership=ownership,
        journal=journal,
        folder=folder,
        clock=clock,
        budget=Budget(settings.transcode_cores),
        terms=_terms(settings),
        recordings=keeping.recordings,
        told=keeping.changed,
    )
    await keeping.open(broadcasts.live)
    serve(Origin(broadcasts.live))
    server = Server(broadcasts, Limits.of(settings), clock)
    tasks: list[asyncio.Task[None]] = []
    try:
        tasks += await _listen(server, settings, certificate)
        following = asyncio.create_task(broadcasts.follow(), name="follow stream records")
        tasks += [following, asyncio.create_task(broadcasts.disown(), name="disown orphaned streams")]
        ready()
        stop = asyncio.create_task(stopping.wait())
        # `follow` never returns: when it is done it has crashed; a worker that cannot cut publishers must stop.
        await asyncio.wait([stop, following], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
    finally:
        await server.close()
        await broadcasts.drain()
        await server.closed()
        await keeping.close()
        await _cancelled(tasks)


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _listen(server: Server, settings: Settings, certificate: Certificate | None) -> list[asyncio.Task[None]]:
    """Let encoders in; returns what has to be ended afterwards."""
    hosts = [host.strip() for host in settings.rtmp_host.split(",") if host.strip()]
    port = await server.listen(hosts, settings.rtmp_port)
    logs.get(__name__).info("taking RTMP", hosts=hosts, port=port, folder=str(settings.media_path()))
    return [await _listen_tls(server, hosts, settings.rtmps_port, certificate)] if certificate is not None else []


def _terms(settings: Settings) -> Terms:
    return Terms(
        ffmpeg=find_ffmpeg(settings.ffmpeg),
        heights=settings.transcode_heights.heights,
        interrupt_s=settings.media_interrupt_s,
        grace_s=settings.media_grace_s,
        part_ms=round(settings.part_target_s * 1000),
    )


async def _listen_tls(server: Server, hosts: Sequence[str], port: int, certificate: Certificate) -> asyncio.Task[None]:
    try:
        port = await server.listen(hosts, port, certificate.context)
    except OSError as error:
        await server.close()
        msg = f"OVATION_RTMPS_PORT={port}: {error}"
        raise BadSettings(msg) from error
    logs.get(__name__).info("taking RTMPS", hosts=hosts, port=port)
    return asyncio.create_task(certificate.follow(), name="renew the certificate")
