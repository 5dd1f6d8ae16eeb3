"""What others read of the contract, written from the structs: `python -m schemas.generate [--check]`.

    docs/openapi.json         the HTTP API (OpenAPI 3.1)
    docs/asyncapi.json        subjects and events (AsyncAPI 3.0)
    docs/schemas/items.json   the items of the live log (JSON Schema 2020-12)
    docs/schemas/media.json   the events of the media log, the same way
    web/src/generated.ts      the same types for the page

With `--check` nothing is written: files that are not in step are named, and the exit code is 1.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from schemas import items, media, openapi, pulse, socket

ROOT = Path(__file__).resolve().parents[1]
_REF = "#/components/schemas/"


def files() -> dict[str, str]:
    """Every generated file's text, by its path in the tree."""
    document = openapi.document()
    return {
        "docs/openapi.json": _json(document),
        "docs/asyncapi.json": _json(asyncapi(document["components"]["schemas"] | _over_sockets() | _unseen())),
        "docs/schemas/items.json": _json(msgspec.json.schema(items.Item)),
        "docs/schemas/media.json": _json(msgspec.json.schema(media.Event)),
        "web/src/generated.ts": typescript(document["components"]["schemas"] | _over_sockets()),
    }


def main() -> int:
    """Write the files, or with `--check` compare them."""
    stale = []
    for name, text in files().items():
        path = ROOT / name
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in sys.argv[1:]:
            stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            sys.stdout.write(f"{name}\n")
    for name in stale:
        sys.stderr.write(f"{name} is not in step with schemas/; run ./just schemas\n")
    return 1 if stale else 0


def asyncapi(schemas: dict[str, Any]) -> dict[str, Any]:
    """The AsyncAPI 3.0 document: what travels on NATS, on the events route and over WebSockets."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    unions = {
        "Item": list(_items(schemas)),
        "MediaEvent": [{"$ref": f"{_REF}{kind.__name__}"} for kind in media.Event.__args__],
    }
    for name, address, payload, summary in (
        ("live", "live.{shard}.{stream_id}", "Item", "The durable items of a stream, on its live log"),
        ("feed", "feed.{shard}.{stream_id}", "Item", "The same, republished on core NATS"),
        ("events", "/api/v1/streams/{stream_id}/events", "Delivery", "What viewers get, as Server-Sent Events"),
        ("media", "media.{stream_id}", "MediaEvent", "What happened to a stream's video, on the log MEDIA"),
        ("replay", "/api/v1/streams/{stream_id}/replay", "Delivery", "The same at recorded pace, as Server-Sent Events"),
        ("pulse", "pulse.{shard}.{stream_id}", "ReactionPulse", "Reactions between gateways; ephemeral"),
        ("presence", "presence.{gateway}", "PresenceMessage", "Viewers of one gateway; ephemeral"),
    ):
        parameters: dict[str, Any] = {key: {} for key in ("shard", "stream_id", "gateway") if f"{{{key}}}" in address}
        encoding = "application/msgpack" if payload == "PresenceMessage" else "application/json"
        schema = {"oneOf": unions[payload]} if payload in unions else {"$ref": f"{_REF}{payload}"}
        channels[name] = {
            "address": address,
            "description": summary,
            "parameters": parameters,
            "messages": {payload: {"contentType": encoding, "payload": schema}},
        }
        operations[f"receive_{name}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": summary,
        }
    channels["socket"], over_sockets = _socket()
    operations |= over_sockets
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Ovation", "version": openapi.VERSION},
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas},
    }


def typescript(schemas: dict[str, Any]) -> str:
    """The structs as TypeScript interfaces, and the union of all items."""
    parts = ["/** Generated from schemas/ by `./just schemas`; do not edit. */\n"]
    for name, schema in schemas.items():
        parts.append(f"export interface {name} {_object(schema, '')}\n")
    names = " | ".join(entry["$ref"].removeprefix(_REF) for entry in _items(schemas))
    parts.append(f"export type Item = {names};\n")
    for name, union in (("SocketCommand", socket.Command), ("SocketMessage", socket.Message)):
        parts.append(f"export type {name} = {' | '.join(kind.__name__ for kind in union.__args__)};\n")
    return "\n".join(parts)


def _over_sockets() -> dict[str, Any]:
    """The messages of a WebSocket, which HTTP does not have."""
    kinds = [*socket.Command.__args__, *socket.Message.__args__]
    return msgspec.json.schema_components(kinds, ref_template=f"{_REF}{{name}}")[1]


def _socket() -> tuple[dict[str, Any], dict[str, Any]]:
    """The WebSocket's channel, and what a client does on it."""
    commands, messages = ([kind.__name__ for kind in union.__args__] for union in (socket.Command, socket.Message))
    channel = {
        "address": "/ws",
        "description": "Viewing, posting and reacting over one WebSocket; `?ticket=` or an Authorization header",
        "parameters": {},
        "messages": {
            name: {"contentType": "application/json", "payload": {"$ref": f"{_REF}{name}"}} for name in [*commands, *messages]
        },
    }
    operations = {
        f"{action}_socket": {
            "action": action,
            "channel": {"$ref": "#/channels/socket"},
            "summary": summary,
            "messages": [{"$ref": f"#/channels/socket/messages/{name}"} for name in names],
        }
        for action, summary, names in (("send", "Commands", commands), ("receive", "What a gateway says", messages))
    }
    return channel, operations


def _unseen() -> dict[str, Any]:
    """What no client ever sees."""
    kinds = [pulse.ReactionPulse, pulse.PresenceMessage, *media.Event.__args__]
    return msgspec.json.schema_components(kinds, ref_template=f"{_REF}{{name}}")[1]


def _items(schemas: dict[str, Any]) -> Iterator[dict[str, str]]:
    """References to the structs that are items of the live log."""
    for kind in items.Item.__args__:
        if kind.__name__ in schemas:
            yield {"$ref": f"{_REF}{kind.__name__}"}


def _object(schema: dict[str, Any], indent: str) -> str:
    required = set(schema.get("required", []))
    lines = [
        f"{indent}  {name}{'' if name in required else '?'}: {_type(kind, indent + '  ')};"
        for name, kind in schema.get("properties", {}).items()
    ]
    return "{\n" + "\n".join(lines) + f"\n{indent}}}"


_SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def _type(schema: dict[str, Any], indent: str) -> str:
    kind = schema.get("type", "")
    if "$ref" in schema:
        found = str(schema["$ref"]).removeprefix(_REF)
    elif "anyOf" in schema:
        found = " | ".join(_type(each, indent) for each in schema["anyOf"])
    elif "enum" in schema:
        found = " | ".join(json.dumps(value) for value in schema["enum"])
    elif kind == "array":
        inner = _type(schema.get("items", {}), indent)
        found = f"({inner})[]" if "|" in inner else f"{inner}[]"
    elif kind == "object" and "additionalProperties" in schema:
        found = f"Record<string, {_type(schema['additionalProperties'], indent)}>"
    else:
        found = _object(schema, indent) if kind == "object" else _SIMPLE.get(kind, "unknown")
    return found


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
