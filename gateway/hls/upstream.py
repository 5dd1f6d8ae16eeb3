"""A media worker asked over HTTP, on its internal port."""

import contextlib

import httpx

from gateway.hls.place import Place
from gateway.hls.reply import Reply
from infra.jetstream.streamleases import Owner
from infra.telemetry import logs

log = logs.get(__name__)

CONNECT_S = 1.0
#: A worker answers a blocked reload after three target durations at the latest (RFC 8216bis, 6.2.5.2); no player waits longer.
ANSWER_S = 10.0
#: No segment is larger; a worker that sends more is broken.
MAX_ANSWER = 64 * 1024**2


class Upstream:
    """At most *limit* requests at a time."""

    def __init__(self, limit: int) -> None:
        self._client = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=20.0),
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            headers={"accept-encoding": "identity", "user-agent": "ovation-gateway"},
            # Workers are inside: a proxy for the way out must not be asked for them.
            trust_env=False,
        )

    async def get(self, owner: Owner, place: Place) -> Reply | None:
        """What the worker says; `None` when it does not, or nothing that can be passed on."""
        query = f"?{place.query}" if place.query else ""
        address = f"{owner.origin}/origin/{place.stream_id}/{place.path}{query}"
        try:
            async with self._client.stream("GET", address) as answer:
                body = bytearray()
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        log.error("a worker's answer is too large", worker=owner.worker, path=place.path)
                        return None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.debug("worker not reached", worker=owner.worker, cause=repr(error))
            return None
        if answer.status_code not in (200, 400, 404, 503):
            log.warning("a worker's answer is not understood", worker=owner.worker, path=place.path, status=answer.status_code)
            return None
        cache = answer.headers.get("cache-control", "no-cache") if answer.status_code == 200 else "no-store"
        retry_after = 0
        with contextlib.suppress(ValueError):
            retry_after = int(answer.headers.get("retry-after", "0"))
        return Reply(answer.status_code, bytes(body), place.suffix, cache, retry_after)

    async def stop(self) -> None:
        """Hang up."""
        await self._client.aclose()
