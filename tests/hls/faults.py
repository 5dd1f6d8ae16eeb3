"""Violations of Low-Latency HLS, each planted between a good origin and the client by rewriting what was answered."""

import re
from collections.abc import Callable
from typing import NamedTuple

import httpx

Rewrite = Callable[["Tampered"], None]


class Tampered:
    """One answer, to be made wrong; `count` is how many reloads of this playlist there were before."""

    def __init__(self, request: httpx.Request, answer: httpx.Response, count: int) -> None:
        self.path = request.url.path
        self.query = request.url.query.decode()
        self.status = answer.status_code
        self.heads = {
            name: value for name, value in answer.headers.items() if name not in ("content-length", "content-encoding")
        }
        self.body = answer.content
        self.count = count

    @property
    def is_playlist(self) -> bool:
        """A media playlist."""
        return self.path.endswith("index.m3u8") and self.status == 200

    def sub(self, pattern: str, into: str | Callable[[re.Match[str]], str], count: int = 0) -> None:
        """Replace in the playlist."""
        if self.is_playlist:
            self.body = re.sub(pattern, into, self.body.decode(), count=count, flags=re.MULTILINE).encode()


class Fault(NamedTuple):
    """A violation and the rules one of which must find it; `asks` changes the request instead."""

    name: str
    rules: set[str]
    rewrite: Rewrite = lambda _: None
    asks: Callable[[httpx.URL], httpx.URL] = lambda url: url


def _part(match: re.Match[str], duration: str) -> str:
    return match[0].replace(match[1], duration) if int(match[2]) % 5 == 2 else match[0]


_PART = r'#EXT-X-PART:[^\n]*?DURATION=([0-9.]+)[^\n]*?part-(\d+)\.m4s"[^\n]*'


def _swap(answer: Tampered, name: str, into: Callable[[bytes], bytes]) -> None:
    if name in answer.path and answer.status == 200:
        answer.body = into(answer.body)


def _date(match: re.Match[str]) -> str:
    return match[1] + f"{(int(match[2]) + 300) % 1000:03d}"


def _forgive(answer: Tampered) -> None:
    if answer.status == 400:
        answer.status = 200


def _miss(answer: Tampered) -> None:
    found = re.search(r"part-(\d+)\.m4s", answer.path)
    if found and int(found[1]) % 5 == 1:
        answer.status = 404


def _keep(answer: Tampered) -> None:
    if answer.is_playlist and not answer.query:
        answer.heads["cache-control"] = "max-age=60"


def _lower(match: re.Match[str]) -> str:
    return f"{match[1]}{int(match[2]) - 1}"


def _raise(match: re.Match[str]) -> str:
    return f"{match[1]}{int(match[2]) + 1}"


def _plain(url: httpx.URL) -> httpx.URL:
    return url.copy_with(query=None)


FAULTS = [
    Fault("a part longer than the part target", {"part"}, lambda a: a.sub(_PART, lambda m: _part(m, "0.9"))),
    Fault("a part far shorter than the part target", {"part"}, lambda a: a.sub(_PART, lambda m: _part(m, "0.05"))),
    Fault("parts that do not add up to their segment", {"sum"}, lambda a: a.sub(r"#EXTINF:[0-9.]+", "#EXTINF:1.3")),
    Fault("a segment longer than the target duration", {"duration"}, lambda a: a.sub(r"#EXTINF:[0-9.]+", "#EXTINF:9.6")),
    Fault("a reload that does not block", {"blocking"}, asks=_plain),
    Fault(
        "a listed segment that changes",
        {"steady"},
        lambda a: a.sub(r"#EXTINF:([0-9.]+)", lambda m: f"#EXTINF:{float(m[1]) + a.count % 2 / 1000:.5f}"),
    ),
    Fault("a segment that does not say it is independent", {"independent"}, lambda a: a.sub(r",?INDEPENDENT=YES", "")),
    Fault(
        "a part that begins with no keyframe and says so",
        {"independent"},
        lambda a: a.sub(r"^(#EXT-X-PART:(?:(?!INDEPENDENT).)*)$", r"\1,INDEPENDENT=YES"),
    ),
    Fault("a rendition report a segment behind", {"report"}, lambda a: a.sub(r"(LAST-MSN=)(\d+)", _lower)),
    Fault("no rendition report", {"report"}, lambda a: a.sub(r"^#EXT-X-RENDITION-REPORT.*\n", "")),
    Fault("a hint that never comes true", {"hint"}, lambda a: a.sub(r'(HINT:.*URI=")[^"]*', r"\1part-999999998.m4s")),
    Fault("no hint", {"hint"}, lambda a: a.sub(r"^#EXT-X-PRELOAD-HINT.*\n", "")),
    Fault("a listed part that is not there", {"hint", "gone"}, _miss),
    Fault(
        "a program date time that jumps",
        {"clock"},
        lambda a: a.sub(r"(#EXT-X-PROGRAM-DATE-TIME:.*[02468]\.)(\d{3})", _date),
    ),
    Fault("no program date time", {"date"}, lambda a: a.sub(r"^#EXT-X-PROGRAM-DATE-TIME.*\n", "")),
    Fault("a delta update that skips one too few", {"delta"}, lambda a: a.sub(r"(SKIPPED-SEGMENTS=)(\d+)", _lower)),
    Fault(
        "a discontinuity sequence that grows by itself",
        {"discontinuity", "steady"},
        lambda a: a.sub(r"(#EXT-X-DISCONTINUITY-SEQUENCE:)(\d+)", _raise) if a.count > 8 else None,
    ),
    Fault("a segment that is not its parts", {"concat"}, lambda a: _swap(a, "segment-", lambda b: b[:-1] + b"x")),
    Fault("a part cut short", {"media"}, lambda a: _swap(a, "part-", lambda b: b[:-9])),
    Fault(
        "a media sequence that goes back",
        {"front", "steady"},
        lambda a: a.sub(r"(#EXT-X-MEDIA-SEQUENCE:)(\d+)", _raise) if a.count % 2 else None,
    ),
    Fault("a part hold back of one part", {"control"}, lambda a: a.sub(r"PART-HOLD-BACK=[0-9.]+", "PART-HOLD-BACK=0.2")),
    Fault("no map", {"map"}, lambda a: a.sub(r"^#EXT-X-MAP.*\n", "")),
    Fault("nonsense that is answered", {"refusal"}, _forgive),
    Fault(
        "a target duration that changes",
        {"target"},
        lambda a: a.sub(r"(#EXT-X-TARGETDURATION:)(\d+)", _raise) if a.count > 8 else None,
    ),
    Fault("a plain reload that may be kept", {"head"}, _keep),
]


class Faulty(httpx.AsyncBaseTransport):
    """Asks the real origin, and makes the answer wrong."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._behind = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=64))
        self._counts: dict[str, int] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass on, and tamper."""
        asked = httpx.Request(request.method, self._fault.asks(request.url), headers=request.headers)
        answer = await self._behind.handle_async_request(asked)
        await answer.aread()
        await answer.aclose()
        count = self._counts[request.url.path] = self._counts.get(request.url.path, 0) + 1
        tampered = Tampered(request, answer, count)
        self._fault.rewrite(tampered)
        return httpx.Response(tampered.status, headers=tampered.heads, content=tampered.body, request=request)

    async def aclose(self) -> None:
        """Hang up."""
        await self._behind.aclose()
