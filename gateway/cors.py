"""What scripts of pages elsewhere may do: everything that needs no cookie."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway.problems import Problem, render

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Cors(CORSMiddleware):
    """Reads may be embedded anywhere; credentials travel in headers, never by cookie across origins."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            app,
            allow_origins=["*"],
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=["Retry-After", "X-Trace-Id"],
            max_age=600,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Allow, or refuse with a problem document: nothing under /api is refused in plain text."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        method = request_headers["access-control-request-method"]
        if method in METHODS:
            # A page of the internet, in a browser that stands in this gateway's own network.
            problem = Problem("FORBIDDEN", "Pages elsewhere may not reach into a private network.")
        else:
            problem = Problem("METHOD_NOT_ALLOWED", f"{method[:40]} is not allowed from a page elsewhere.")
        status, headers, body = render(problem)
        refused = Response(body, status)
        refused.raw_headers.extend(headers)
        refused.headers.update({"Access-Control-Allow-Origin": "*", "Allow": ", ".join(METHODS), "Vary": "Origin"})
        return refused
