"""Comments by the direct way: what `app.py` does around `posting.create`, in a tenth of the time.

The same answers, byte for byte, as by way of ASGI (a test compares them): problem documents, CORS, trace ids, metrics.
"""

import time
from collections.abc import Awaitable

import structlog

from gateway import access, payload, posting
from gateway.app import Deps
from gateway.exchange import Answered, Asked
from gateway.middleware import note
from gateway.problems import Problem, from_error, render
from gateway.traces import traced
from infra.errors import OvationError
from infra.telemetry import logs, metrics
from schemas import codec
from schemas.api import NewComment, PostedComment

log = logs.get(__name__)

#: What `cors.Cors` adds to an answer.
_VARY = b"vary: Origin\r\n"
_CORS = b"access-control-allow-origin: *\r\naccess-control-expose-headers: Retry-After, X-Trace-Id\r\n" + _VARY
_JSON = b"cache-control: no-store\r\ncontent-type: application/json\r\n"
_SECONDS = {code: metrics.REQUESTS.labels("POST", f"{code}xx") for code in (2, 4, 5)}


class DirectPosting:
    """Answers `POST /streams/{id}/comments`."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._logs_requests = deps.settings.log_level == "debug"

    async def answer(self, asked: Asked) -> Answered:
        """The response, whatever happens."""
        trace, sampled = traced(asked.headers.get(b"traceparent"))
        # This task's own; nothing else runs in it.
        structlog.contextvars.bind_contextvars(trace_id=trace)
        try:
            status, comment = await self._post(asked)
            head, content = _JSON, codec.encode(comment)
        except Problem as problem:
            status, head, content = _refused(problem)
        except OvationError as error:
            status, head, content = _refused(from_error(error))
        except Exception:
            log.exception("request failed", path=f"/api/v1/streams/{asked.stream_id}/comments")
            status, head, content = _refused(Problem("INTERNAL", "The request failed; it is in the log."))
        took = time.perf_counter() - asked.came
        _SECONDS[status // 100].observe(took)
        if self._logs_requests or sampled:
            note("POST", f"/api/v1/streams/{asked.stream_id}/comments", status, took, sampled=sampled)
        cors = _CORS if b"origin" in asked.headers else _VARY
        return Answered(status, b"%b%bx-trace-id: %b\r\n" % (head, cors, trace.encode()), content)

    def _post(self, asked: Asked) -> Awaitable[tuple[int, PostedComment]]:
        """Begin; no coroutine of its own, since each one that waits costs at every wait."""
        who = self._deps.authenticator.authenticate(
            authorization=asked.header(b"authorization"),
            # Neither authorises a POST.
            cookie=None,
            ticket=None,
            method="POST",
            stream_id=asked.stream_id,
        )

        async def read() -> NewComment:
            if asked.body is None:
                declared = asked.header(b"content-length")
                raise payload.too_large(declared if payload.declares_too_much(declared) else None)
            return payload.decode(asked.body, NewComment)

        key = asked.header(b"idempotency-key")
        return posting.post(self._deps, access.require_user(who), asked.stream_id, key, read)


def _refused(problem: Problem) -> tuple[int, bytes, bytes]:
    status, headers, content = render(problem)
    return status, b"".join(b"%b: %b\r\n" % pair for pair in headers), content
