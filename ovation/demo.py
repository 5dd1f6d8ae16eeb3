"""A live page without a camera: a test picture with a running clock over real RTMP, and guests who chat.

Everything goes through the public doors, HTTP and RTMP, as anybody's would.
"""

import asyncio
import contextlib
import functools
import json
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx

from infra.errors import Unavailable
from infra.lifecycle import Lifecycle
from infra.settings import Settings
from infra.telemetry import logs
from ovation.child import die_with
from ovation.programs import bundled_ffmpeg as bundled

log = logs.get(__name__)

T = TypeVar("T")

TITLE = "Ovation demo: a test picture, and some guests"
NAMES = ("Ada", "Grace", "Linus", "Margaret", "Ken", "Barbara", "Edsger", "Radia")
LINES = (
    "hello everyone 👋",
    "first time here, looks smooth",
    "what is the latency on this?",
    "about a second behind the clock for me",
    "the clock on the picture is a nice touch",
    "just closed my laptop and opened it again, nothing missing",
    "greetings from Lisbon ☀️",
    "does replay keep the chat in sync?",
    "that tone is going to haunt me",
    "who else is watching on a phone?",
    "turned my wifi off for a minute: it told me how many I had missed",
    "ok that was fast",
    "🔥🔥🔥",
    "can a moderator pin that?",
    "how many viewers can this take?",
    "I like that it says #sequence next to the status",
    "test, test, one two",
    "good evening from Kyoto 🌙",
    "what is this built on?",
    "NATS JetStream and a lot of care",
)
REACTIONS = ("like", "like", "like", "love", "love", "wow", "haha")
RETRY_S = 1.0
#: Well within the limits of a guest, and calm enough to read.
PAUSE_S = (2.0, 6.0)


async def run(settings: Settings, lifecycle: Lifecycle) -> None:
    """Broadcast and chat until stopped."""
    host = settings.http_host if settings.http_host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 - compared
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.http_port}/api/v1"
    lifecycle.readiness.expect("stream", "starting")
    async with httpx.AsyncClient(base_url=url, timeout=15.0) as http:
        show = asyncio.create_task(_show(http, settings, lifecycle))
        stopping = asyncio.create_task(lifecycle.stopping.wait())
        # A show that ends by itself has crashed: so does the process, and its parent starts it again.
        await asyncio.wait({show, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        show.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await show


async def _show(http: httpx.AsyncClient, settings: Settings, lifecycle: Lifecycle) -> None:
    path = settings.data_dir / "run" / "demo.json"
    stream = await _patiently(lambda: _kept(http, path))
    if stream is None:
        host = await _patiently(lambda: _guest(http, "Ovation"))
        stream = await _patiently(lambda: _start(http, host))
        _keep(stream, path)
    lifecycle.readiness.met("stream")
    lifecycle.update()
    await asyncio.gather(
        _broadcast(settings, stream["rtmp_url"], stream["stream_key"]),
        *(_chat(http, stream["stream_id"], name) for name in NAMES[:4]),
    )


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await call()
        except (httpx.HTTPError, Unavailable) as error:
            log.info("not yet", cause=str(error) or type(error).__name__)
            await asyncio.sleep(RETRY_S)


async def _guest(http: httpx.AsyncClient, name: str) -> dict[str, str]:
    answer = await http.post("/session", json={"name": name})
    answer.raise_for_status()
    http.cookies.clear()
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def _kept(http: httpx.AsyncClient, path: Path) -> dict[str, str] | None:
    """The stream of a demo before this one, while it is still live: a restart goes on with it."""
    try:
        kept: dict[str, str] = json.loads(path.read_text())  # noqa: ASYNC240 - one small file, once
        answer = await http.get(f"/streams/{kept['stream_id']}")
    except (OSError, ValueError, KeyError):
        return None
    if answer.status_code >= 500:
        # Not known yet: a second stream beside one that is live would confuse the page.
        answer.raise_for_status()
    return kept if answer.status_code == 200 and answer.json()["is_live"] else None


def _keep(stream: dict[str, str], path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({name: stream[name] for name in ("stream_id", "stream_key", "rtmp_url")}, file)


async def _start(http: httpx.AsyncClient, host: dict[str, str]) -> dict[str, str]:
    answer = await http.post("/streams/start", json={"title": TITLE, "privacy": "public"}, headers=host)
    answer.raise_for_status()
    started: dict[str, str] = answer.json()
    return started


async def _broadcast(settings: Settings, url: str, key: str) -> None:
    """Push for ever; an encoder that ends is started again, as OBS does."""
    while True:
        process = await asyncio.create_subprocess_exec(
            *_encoder(settings, f"{url}/{key}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=functools.partial(die_with, os.getpid()),
        )
        try:
            _, errors = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            raise
        log.warning("encoder ended", code=process.returncode, cause=logs.redact(errors.decode("utf-8", "replace")[-300:]))
        await asyncio.sleep(RETRY_S)


def _encoder(settings: Settings, target: str) -> list[str]:
    program = settings.ffmpeg or bundled()
    picture = "testsrc2=size=640x360:rate=25"
    return [
        *(program, "-hide_banner", "-loglevel", "error", "-nostdin", "-re"),
        *("-f", "lavfi", "-i", picture),
        *("-f", "lavfi", "-i", "sine=frequency=330:beep_factor=4:sample_rate=44100"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"),
        *("-b:v", "800k", "-maxrate", "800k", "-bufsize", "800k", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0"),
        *("-c:a", "aac", "-b:a", "64k", "-af", "volume=0.1"),
        *("-f", "flv", target),
    ]


async def _chat(http: httpx.AsyncClient, stream_id: str, name: str) -> None:
    who = await _patiently(lambda: _guest(http, name))
    while True:
        await asyncio.sleep(random.uniform(*PAUSE_S) * 2)  # noqa: S311 - small talk
        with contextlib.suppress(httpx.HTTPError):
            if random.random() < 0.4:  # noqa: S311 - small talk
                reaction = {"reaction_type": random.choice(REACTIONS)}  # noqa: S311 - small talk
                answer = await http.post(f"/streams/{stream_id}/reactions", json=reaction, headers=who)
            else:
                text = {"text": random.choice(LINES)}  # noqa: S311 - small talk
                answer = await http.post(f"/streams/{stream_id}/comments", json=text, headers=who)
            if answer.status_code == 401:
                who = await _patiently(lambda: _guest(http, name))
