"""The OpenAPI 3.1 document of the HTTP API, from one table of operations and the structs."""

from typing import Any

import msgspec
from msgspec import Struct

from schemas import api, delivery, items
from schemas.problems import CODES, ProblemDocument

VERSION = "0.1.0"


class Operation(Struct, frozen=True, kw_only=True):
    """One operation: `answers` maps a status to a struct (`None`: no body), `problems` lists codes."""

    method: str
    path: str
    summary: str
    answers: dict[int, Any]
    problems: tuple[str, ...] = ()
    body: Any = None
    query: tuple[dict[str, Any], ...] = ()
    headers: tuple[dict[str, Any], ...] = ()
    signed_in: bool = False


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


_LIMIT = _query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Entries of a page.")
_CURSOR = _query("cursor", {"type": "string"}, "A page's next_cursor; for comments also a comment's id.")
_KEY = _header(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[\x20-\x7e]+$"},
    "The same key again is the same comment, on any gateway.",
)
_PAGE = (
    _CURSOR,
    _LIMIT,
    _query("sort", {"enum": ["desc", "asc"], "default": "desc"}, "Newest or oldest first."),
    _query("offset", {"type": "integer", "minimum": 0, "maximum": 10000, "default": 0}, "Entries to skip."),
    _query("from_time", {"type": "string", "format": "date-time"}, "Taken by the log at or after this time."),
    _query("to_time", {"type": "string", "format": "date-time"}, "Taken by the log before this time."),
)
_STREAM = "/streams/{stream_id}"
_COMMENT = f"{_STREAM}/comments/{{comment_id}}"
_FOLLOW = "/users/{user_id}/follow"
_BODY = ("VALIDATION", "PAYLOAD_TOO_LARGE")
_WRITE = ("UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND", "UNAVAILABLE")
_READ = ("UNAUTHORIZED", "NOT_FOUND", "UNAVAILABLE")

OPERATIONS = (
    Operation(method="post", path="/session", summary="Mint a guest", body=api.NewSession,
              answers={201: api.Session}, problems=(*_BODY, "NOT_FOUND")),
    Operation(method="get", path="/streams", summary="List streams, newest first", answers={200: api.StreamPage},
              query=(_query("status", {"enum": ["scheduled", "live", "ended"]}, "Only these."), _CURSOR, _LIMIT),
              problems=("VALIDATION", "UNAUTHORIZED", "UNAVAILABLE")),
    Operation(method="post", path="/streams/start", summary="Start a stream", body=api.NewStream,
              answers={201: api.StartedStream}, problems=(*_BODY, *_WRITE), signed_in=True),
    Operation(method="get", path=_STREAM, summary="One stream", answers={200: api.Stream}, problems=_READ),
    Operation(method="patch", path=_STREAM, summary="Change title, description or settings", body=api.StreamChange,
              answers={200: api.Stream}, problems=(*_BODY, *_WRITE, "CONFLICT"), signed_in=True),
    Operation(method="delete", path=_STREAM, summary="Delete a stream and all that was said and recorded in it",
              answers={204: None}, problems=_WRITE, signed_in=True),
    Operation(method="post", path=f"{_STREAM}/start", summary="A scheduled stream goes live", answers={200: api.Stream},
              problems=(*_WRITE, "STREAM_ENDED"), signed_in=True),
    Operation(method="post", path=f"{_STREAM}/end", summary="End a stream", answers={200: api.EndedStream},
              problems=_WRITE, signed_in=True),
    Operation(
        method="get",
        path=f"{_STREAM}/recording",
        summary="Where the recording is; 404 until it is ready",
        answers={200: api.FinishedRecording},
        problems=_READ,
    ),
    Operation(method="get", path=f"{_STREAM}/watch", summary="Where the video is", answers={200: api.Watch},
              problems=_READ),
    Operation(method="post", path=f"{_STREAM}/key", summary="Rotate the stream key", answers={200: api.NewKey},
              problems=(*_WRITE, "STREAM_ENDED"), signed_in=True),
    Operation(method="post", path=f"{_STREAM}/ticket", summary="A credential for ?ticket=", answers={200: api.Ticket},
              problems=_WRITE, signed_in=True),
    Operation(method="get", path=f"{_STREAM}/invitations", summary="Who is invited to a private stream",
              answers={200: api.InvitationPage}, query=(_CURSOR, _LIMIT), problems=(*_WRITE, "VALIDATION"), signed_in=True),
    Operation(method="put", path=f"{_STREAM}/invitations/{{user_id}}", summary="Invite somebody to a private stream",
              answers={200: api.Invitation}, problems=(*_WRITE, "VALIDATION", "RATE_LIMITED"), signed_in=True),
    Operation(method="delete", path=f"{_STREAM}/invitations/{{user_id}}", summary="Take an invitation back",
              answers={204: None}, problems=(*_WRITE, "VALIDATION", "RATE_LIMITED"), signed_in=True),
    Operation(method="get", path=_FOLLOW, summary="Whether the caller follows somebody", answers={200: api.Follow},
              problems=("UNAUTHORIZED", "VALIDATION", "UNAVAILABLE"), signed_in=True),
    Operation(method="put", path=_FOLLOW, summary="Follow somebody", answers={200: api.Follow},
              problems=("UNAUTHORIZED", "FORBIDDEN", "VALIDATION", "RATE_LIMITED", "UNAVAILABLE"), signed_in=True),
    Operation(method="delete", path=_FOLLOW, summary="Follow somebody no more", answers={204: None},
              problems=("UNAUTHORIZED", "FORBIDDEN", "VALIDATION", "RATE_LIMITED", "UNAVAILABLE"), signed_in=True),
    Operation(method="get", path=f"{_STREAM}/comments", summary="A page of comments", answers={200: api.CommentPage},
              query=_PAGE, problems=(*_READ, "VALIDATION")),
    Operation(method="post", path=f"{_STREAM}/comments", summary="Post a comment", body=api.NewComment, headers=(_KEY,),
              answers={200: api.PostedComment, 201: api.PostedComment}, signed_in=True,
              problems=(*_BODY, *_WRITE, "STREAM_ENDED", "CONFLICT", "CONTENT_VIOLATION", "DUPLICATE", "RATE_LIMITED")),
    Operation(method="get", path=_COMMENT, summary="One comment", problems=_READ,
              answers={200: api.PostedComment | api.RemovedComment}),
    Operation(method="delete", path=_COMMENT, summary="Remove a comment", answers={204: None}, problems=_WRITE,
              signed_in=True),
    Operation(method="get", path=f"{_COMMENT}/replies", summary="A comment's thread", query=(_CURSOR, _LIMIT),
              answers={200: api.Thread}, problems=(*_READ, "VALIDATION")),
    Operation(method="post", path=f"{_STREAM}/reactions", summary="React", body=api.NewReaction,
              answers={200: api.CountedReaction}, problems=(*_BODY, *_WRITE, "STREAM_ENDED", "CONFLICT", "RATE_LIMITED"),
              signed_in=True),
)  # fmt: skip

#: What travels outside of JSON answers, so that clients have types for it.
EVENTS = (delivery.Delivery, delivery.ReactionBurst, delivery.ViewerCount, delivery.Gap, items.Item)


def types() -> list[Any]:
    """Every struct of the contract."""
    found: list[Any] = [ProblemDocument, *EVENTS]
    for operation in OPERATIONS:
        found += [kind for kind in (operation.body, *operation.answers.values()) if kind is not None]
    return found


def document() -> dict[str, Any]:
    """The document."""
    kinds = types()
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    by_kind = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, by_kind)
    paths[f"{_STREAM}/events"] = {"get": _events(by_kind)}
    paths[f"{_STREAM}/replay"] = {"get": _replay(by_kind)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ovation", "version": VERSION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(operation: Operation, by_kind: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in operation.answers.items():
        responses[str(status)] = {"description": operation.summary}
        if kind is not None:
            responses[str(status)]["content"] = {"application/json": {"schema": by_kind[repr(kind)]}}
    malformed = {"400": _problem("VALIDATION", by_kind)} if operation.body is not None else {}
    responses |= malformed | _refusals(operation.problems, by_kind)
    found: dict[str, Any] = {
        "operationId": _identifier(operation),
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation.path), *operation.query, *operation.headers],
        "responses": responses,
        "security": [{"token": []}] if operation.signed_in else [{}, {"token": []}],
    }
    if operation.body is not None:
        schema = by_kind[repr(operation.body)]
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _identifier(operation: Operation) -> str:
    words = operation.path.replace("{", "").replace("}", "").strip("/").split("/")
    return "_".join([operation.method, *words])


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in ("stream_id", "comment_id", "user_id")
        if f"{{{name}}}" in path
    ]


def _refusals(problems: tuple[str, ...], by_kind: dict[str, Any]) -> dict[str, Any]:
    """A problem document for each status that the codes *problems* have."""
    codes: dict[int, list[str]] = {}
    for code in problems:
        codes.setdefault(CODES[code][0], []).append(code)
    return {str(status): _problem(", ".join(codes[status]), by_kind) for status in sorted(codes)}


def _streamed(by_kind: dict[str, Any]) -> dict[str, Any]:
    """Events, or why there are none; a full gateway answers 200 with `event: busy`."""
    events = {"description": "Events", "content": {"text/event-stream": {}}}
    return {"200": events} | _refusals((*_READ, "VALIDATION"), by_kind)


def _problem(codes: str, by_kind: dict[str, Any]) -> dict[str, Any]:
    schema = by_kind[repr(ProblemDocument)]
    return {"description": codes, "content": {"application/problem+json": {"schema": schema}}}


def _events(by_kind: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": "get_streams_stream_id_events",
        "summary": "Everything durable, in order, as Server-Sent Events",
        "parameters": [
            *_path_parameters(f"{_STREAM}/events"),
            _query("last_event_id", {"type": "integer", "minimum": 0}, "Resume after this position."),
            _query("backfill", {"type": "integer", "minimum": 0, "maximum": 500, "default": 50}, "Newest items first."),
            _query("only", {"enum": ["comments"]}, "Leave out reactions and viewer counts."),
            _query("ticket", {"type": "string"}, "A credential for clients that cannot set headers."),
            _header("Last-Event-ID", {"type": "string"}, "Resume after this position; wins over the query."),
        ],
        "responses": _streamed(by_kind),
    }


def _replay(by_kind: dict[str, Any]) -> dict[str, Any]:
    speed = {"type": "number", "minimum": 0.25, "maximum": 16, "default": 1}
    start = {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}]}
    return {
        "operationId": "get_streams_stream_id_replay",
        "summary": "The same at recorded pace, as Server-Sent Events",
        "parameters": [
            *_path_parameters(f"{_STREAM}/replay"),
            _query("from", start, "A time, or the seq of the first item; without it the beginning."),
            _query("speed", speed, "How many seconds of the recording pass in one."),
            _query("last_event_id", {"type": "integer", "minimum": 0}, "Resume after this position."),
            _query("backfill", {"type": "integer", "minimum": 0, "maximum": 500, "default": 0}, "Newest items before it."),
            _query("only", {"enum": ["comments"]}, "As for events; a replay has nothing else."),
            _query("ticket", {"type": "string"}, "A credential for clients that cannot set headers."),
            _header("Last-Event-ID", {"type": "string"}, "Resume after this position; wins over the query."),
        ],
        "responses": _streamed(by_kind),
    }
