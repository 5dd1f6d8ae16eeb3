"""One measurement and one log line per request, with a trace id; never with a credential."""

import random
import re
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.telemetry import logs, metrics

log = logs.get(__name__)

#: W3C Trace Context: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class RequestLog:
    """Pure ASGI: no task and no copy of the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve and take note."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500
        trace = trace_id(scope)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-trace-id", trace.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(trace_id=trace):
            try:
                await self._app(scope, receive, noting)
            finally:
                took = time.perf_counter() - began
                metrics.REQUESTS.labels(_method(scope["method"]), f"{status // 100}xx").observe(took)
                if not scope["path"].startswith("/hls/"):
                    log.debug("request", method=scope["method"], path=scope["path"], status=status, ms=round(took * 1000, 1))


def trace_id(scope: Scope) -> str:
    """The caller's trace id, or a new one."""
    for name, value in scope["headers"]:
        if name == b"traceparent" and (found := traced(value)):
            return found
    return new_trace_id()


def traced(traceparent: bytes) -> str | None:
    """The trace id of a `traceparent` header, if it is one."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1].decode() if match else None


def new_trace_id() -> str:
    """Unlike any other; not secret, so not from the system, which takes 20 us for it."""
    return f"{random.getrandbits(128):032x}"


def _method(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT") else "other"
