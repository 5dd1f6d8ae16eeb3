"""The wire contract: what is said on the logs, over HTTP, SSE and WebSocket, and nothing else.

Owns the shapes, their names and their encoding.
Refuses every socket, clock and setting: importing this package does no I/O, and it imports msgspec alone.

    items.py      the items of the live log, one tagged union, in the words of the public contract
    media.py      the events of the media log
    records.py    the stream record kept in KV, and what is derived from it
    api.py        requests and answers of the HTTP API
    delivery.py   what one SSE `comments` event carries
    socket.py     the WebSocket's commands and messages
    pulse.py      what gateways tell each other, ephemeral
    problems.py   RFC 9457 problem documents and their codes
    subjects.py   the subject grammar: one function per subject, shards
    snowflake.py  64-bit comment ids: packing and the pure generator
    streamid.py   UUIDv7 stream ids
    times.py      RFC 3339 with milliseconds
    codec.py      encode and decode, splicing `seq` and `at` into a logged item
    openapi.py    the OpenAPI document, from one table of operations
    generate.py   JSON Schema, OpenAPI, AsyncAPI and TypeScript, generated from the structs
"""
