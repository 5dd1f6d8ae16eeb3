"""One measurement and one log line per request, with a trace id; never with a credential.

The line is for whoever debugs, and for who sends a `traceparent` that is sampled: a trace that is recorded elsewhere is found
here, at whatever rate they sample.
"""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.traces import traced
from infra.telemetry import logs, metrics

log = logs.get(__name__)


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
        trace, sampled = traced(next((value for name, value in scope["headers"] if name == b"traceparent"), None))

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
                    note(scope["method"], scope["path"], status, took, sampled=sampled)


def note(method: str, path: str, status: int, took_s: float, *, sampled: bool) -> None:
    """The line of a request; what is not *sampled* is for debugging."""
    say = log.info if sampled else log.debug
    say("request", method=method, path=path, status=status, ms=round(took_s * 1000, 1))


def _method(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT") else "other"
