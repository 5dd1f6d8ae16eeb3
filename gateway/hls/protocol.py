"""Requests for video taken out of uvicorn before an ASGI cycle begins.

A low-latency viewer asks ten times a second. By way of ASGI that is a task, a scope, two middlewares and the route table for
each; nearly all of them are answered from memory. What is out of the ordinary goes the usual way: other methods, viewers whose
credential is not in the path or who have to be asked for, requests with a body, paths that need decoding, whole recordings.
"""

import re
from typing import ClassVar

from gateway.encodings import takes_gzip
from gateway.fanout.protocol import GatewayProtocol
from gateway.hls.entrance import Entrance
from gateway.hls.place import Place, place
from gateway.hls.relay import Relay
from gateway.hls.reply import Wanted
from gateway.hls.view import View

_URL = re.compile(rb"/hls/([0-9a-f-]{36})/([A-Za-z0-9_./~-]{1,400})(?:\?([^#]*))?")
#: What of a request means that it is more than a question.
_UNUSUAL = frozenset({b"content-length", b"transfer-encoding", b"if-range", b"expect", b"upgrade", b"authorization"})


class HlsProtocol(GatewayProtocol):
    """`hls_protocol_with` makes the class of one gateway."""

    relay: ClassVar[Relay]
    entrance: ClassVar[Entrance]

    def on_headers_complete(self) -> None:
        """Choose the way a request goes."""
        if self.handed_over:
            return
        method = self.parser.get_method()
        if not self.url.startswith(b"/hls/") or method not in (b"GET", b"HEAD") or not self._is_plain():
            super().on_headers_complete()
            return
        wanted = self._wanted(head=method == b"HEAD")
        named = self._place(wanted) if wanted is not None else None
        if named is None or named.is_film or wanted is None:
            super().on_headers_complete()
            return
        self.since, self.head, self.unwanted = self.loop.time(), None, 0
        self._queue(View(self, self.relay, named, wanted, keep_alive=self._keeps_alive()))

    def _place(self, wanted: Wanted) -> Place | None:
        """What is asked for, if it is known that this viewer may have it."""
        match = _URL.fullmatch(self.url)
        if match is None:
            return None
        stream_id = match[1].decode()
        let = self.entrance.through(stream_id, match[2].decode())
        if let is None:
            return None
        path, wanted.private = let
        return place(stream_id, path, (match[3] or b"").decode("latin-1"))

    def _wanted(self, *, head: bool) -> Wanted | None:
        wanted = Wanted(head=head)
        for name, value in self.headers:
            if name == b"accept-encoding":
                wanted.gzip = takes_gzip(value)
            elif name == b"range":
                wanted.range = value
            elif name in _UNUSUAL:
                return None
        return wanted


def hls_protocol_with(protocol: type[GatewayProtocol], relay: Relay, entrance: Entrance) -> type[HlsProtocol]:
    """*protocol* that answers requests for video by *relay*, of those whom *entrance* lets through."""
    return type("BoundHlsProtocol", (HlsProtocol, protocol), {"relay": relay, "entrance": entrance})
