"""A conformance client for Low-Latency HLS: it plays all renditions of a live stream over HTTP and says what is wrong.

    python -m tests.hls.client http://localhost:8080/hls/STREAM/master.m3u8 --seconds 60

Every finding begins with the name of its rule. It asks as players do: a blocked reload for each part, the hinted part before it
is there, each segment once; and, now and then, a delta update, and what must be refused.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from urllib.parse import urljoin

import httpx

from tests.hls import fragments, multivariant, playlist, rules
from tests.hls.playlist import Media, Part, Segment

#: A part may be this late, beyond its own duration: two busy cores, and an encoder on them.
LATE_S = 2.0
#: A delta update is asked for with every so many reloads.
DELTA_EVERY = 3


@dataclass
class Report:
    """What was found, and how often was looked."""

    broken: list[str] = field(default_factory=list)
    looked: Counter[str] = field(default_factory=Counter)

    def say(self, where: str, found: list[str]) -> None:
        """Take note, once each."""
        for each in found:
            rule, _, text = each.partition(": ")
            line = f"{rule}: {where}: {text}"
            if line not in self.broken:
                self.broken.append(line)

    @property
    def rules(self) -> set[str]:
        """The names of the rules that were broken."""
        return {line.partition(":")[0] for line in self.broken}


class Rendition:
    """One rendition, played."""

    def __init__(self, url: str, http: httpx.AsyncClient, report: Report) -> None:
        self.url = url
        self.name = url.rsplit("/", 2)[-2]
        self.media = Media()
        self._http = http
        self._report = report
        self._parts: dict[str, bytes] = {}
        self._runs: dict[str, list[fragments.Run]] = {}
        self._inits: dict[str, fragments.Tracks] = {}
        self._hinted: dict[str, asyncio.Task[httpx.Response]] = {}
        self._segments: set[str] = set()
        self._ends: dict[int, tuple[int, str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def play(self, until: float, others: "list[Rendition]") -> None:
        """Until that moment of the monotonic clock, or the end of the stream."""
        self._take(await self._playlist({}), {})
        await self._refusals()
        while time.monotonic() < until and not self.media.ended:
            await self._reload(others)
        for task in self._hinted.values():
            task.cancel()
        await asyncio.gather(*self._tasks, *self._hinted.values(), return_exceptions=True)

    def _say(self, *found: str) -> None:
        self._report.say(self.name, list(found))

    async def _playlist(self, directives: dict[str, object]) -> Media:
        answer = await self._http.get(self.url, params={name: str(value) for name, value in directives.items()})
        if answer.status_code != 200:
            self._say(f"reload: {answer.status_code} for {directives}")
            await _back_off()
            return self.media
        self._heads(answer)
        return playlist.read(answer.content)

    def _heads(self, answer: httpx.Response) -> None:
        heads = answer.headers
        cache = heads.get("cache-control", "")
        if answer.headers.get("content-type") != "application/vnd.apple.mpegurl":
            self._say(f"head: a playlist is {heads.get('content-type')}")
        # The draft lets players keep a blocked reload's answer; video.js asks for it again and must not find it.
        if not ("no-cache" in cache or "no-store" in cache or "max-age=0" in cache):
            self._say(f"head: a player may keep a playlist: {cache}")
        if heads.get("access-control-allow-origin") != "*":
            self._say("head: a playlist is not for pages of other origins")

    async def _reload(self, others: "list[Rendition]") -> None:
        msn, part = self.media.next
        directives: dict[str, object] = {"_HLS_msn": msn, "_HLS_part": part}
        began, edges = time.monotonic(), {other.url: other.media.edge for other in others if other.media.segments}
        asking = [self._playlist(directives)]
        if self._report.looked["reload"] % DELTA_EVERY == 0:
            asking.append(self._playlist(directives | {"_HLS_skip": "YES"}))
        whole, *update = await asyncio.gather(*asking)
        took = time.monotonic() - began
        self._report.looked["reload"] += 1
        if whole.edge < (msn, part) and (whole.next <= (msn, part)) and not whole.ended:
            self._say(f"blocking: asked for {msn}.{part}, the answer ends with {whole.edge}")
            await _back_off()
        elif took > whole.part_target + LATE_S:
            self._say(f"late: {msn}.{part} took {took:.1f} s")
        if update and update[0].hints == whole.hints:
            self._report.looked["delta"] += 1
            self._report.say(self.name, rules.delta(whole, update[0]))
        self._take(whole, edges)

    def _take(self, media: Media, edges: dict[str, tuple[int, int]]) -> None:
        """A playlist; *edges* is where every rendition was before it was asked for."""
        before, self.media = self.media, media
        self._report.say(self.name, rules.alone(media))
        if before.segments:
            self._report.say(self.name, rules.change(before, media))
        self._reports(media, edges)
        known = {part.uri for segment in before.all for part in segment.parts}
        hints = [hint.get("URI", "") for hint in before.hints if hint.get("TYPE") == "PART"]
        listed = {part.uri for segment in media.all for part in segment.parts}
        if media.edge > before.edge and media.segments and not media.ended:
            self._say(*(f"hint: {uri} was hinted at and never came" for uri in hints if uri not in listed))
        for segment in media.all:
            fresh = [part for part in segment.parts if part.uri not in known]
            if before.all or segment is media.all[-1]:
                self._spawn(self._pieces(segment, fresh))
        for hint in media.hints:
            if hint.get("TYPE") == "PART" and not media.ended:
                self._hint(hint.get("URI", ""))

    def _reports(self, media: Media, edges: dict[str, tuple[int, int]]) -> None:
        """4.4.5.4: one report for each other rendition, and not of what it was a while ago."""
        told = {urljoin(self.url, report.get("URI", "")): report for report in media.reports}
        for url, edge in edges.items():
            if url == self.url or media.ended:
                continue
            report = told.get(url)
            if report is None:
                self._say(f"report: none of {url}")
                continue
            at = int(report.get("LAST-MSN", -1)), int(report.get("LAST-PART", -1))
            self._report.looked["report"] += 1
            if at < edge:
                self._say(f"report: {url} is said to be at {at}, it was at {edge} before")

    def _hint(self, uri: str) -> None:
        if uri not in self._hinted and uri not in self._parts:
            self._hinted[uri] = asyncio.create_task(self._http.get(urljoin(self.url, uri)))

    async def _pieces(self, segment: Segment, fresh: list[Part]) -> None:
        """Fetch and check what is new of a segment."""
        init = await self._init(segment.map_uri)
        if init is None:
            return
        for part in fresh:
            await self._part(segment, part, init)
        if segment.uri and segment.uri not in self._segments and not segment.gap:
            self._segments.add(segment.uri)
            body = await self._fetch(segment.uri)
            names = [part.uri for part in segment.parts]
            if body is not None and names and all(name in self._parts for name in names):
                self._report.looked["segment"] += 1
                if body != b"".join(self._parts[name] for name in names):
                    self._say(f"concat: {segment.uri} is not its parts")
                for name in names:
                    self._parts[name] = b"" if name == names[-1] else self._parts.pop(name)

    async def _init(self, uri: str) -> fragments.Tracks | None:
        if uri and uri not in self._inits:
            body = await self._fetch(uri)
            if body is None:
                return None
            try:
                self._inits[uri] = fragments.tracks(body)
            except ValueError as error:
                self._say(f"media: {uri}: {error}")
        return self._inits.get(uri)

    async def _fetch(self, uri: str) -> bytes | None:
        hinted = self._hinted.pop(uri, None)
        answer = await (hinted or self._http.get(urljoin(self.url, uri)))
        if answer.status_code != 200:
            self._say(f"{'hint' if hinted else 'gone'}: {uri} is listed and {answer.status_code}")
            return None
        self._report.looked["hint" if hinted else "fetch"] += 1
        if "immutable" not in answer.headers.get("cache-control", ""):
            self._say(f"head: {uri} may not be kept: {answer.headers.get('cache-control')}")
        if "access-control-allow-origin" not in answer.headers:
            self._say(f"head: {uri} is not for pages of other origins")
        return answer.content

    async def _part(self, segment: Segment, part: Part, init: fragments.Tracks) -> None:
        if part.gap:
            return
        body = await self._fetch(part.uri)
        if body is None:
            return
        self._parts[part.uri] = body
        try:
            found = fragments.runs(body, init)
        except (ValueError, KeyError) as error:
            self._say(f"media: {part.uri}: {error!r}")
            return
        self._report.looked["part"] += 1
        leading = [run for run in found if run.track == init.leading]
        if not leading:
            self._say(f"media: {part.uri} has nothing of the leading track")
            return
        scale = init.by_id[init.leading].timescale
        lasts = (leading[-1].ends - leading[0].begins) / scale
        if abs(lasts - part.duration) > 2 * rules.ROUNDING_S:
            self._say(f"duration: {part.uri} is said to last {part.duration}, its samples last {lasts:.3f}")
        if part.independent and not leading[0].first_is_sync:
            self._say(f"independent: {part.uri} says so and begins with no keyframe")
        self._continue(segment, part, found, init)

    def _continue(self, segment: Segment, part: Part, found: list[fragments.Run], init: fragments.Tracks) -> None:
        """Each track goes on where it ended."""
        for run in found:
            generation, former = segment.discontinuity, self._ends.get(run.track)
            scale = init.by_id[run.track].timescale
            if former is not None and former[1] == f"{generation}" and abs(run.begins - former[0]) > scale * 0.011:
                self._say(f"gap: {part.uri}, track {run.track}: {(run.begins - former[0]) / scale:+.3f} s")
            self._ends[run.track] = run.ends, f"{generation}"

    async def _refusals(self) -> None:
        """6.2.5.2: what makes no sense is 400; a part that does not exist is 404."""
        msn = self.media.next[0]
        for directives in ({"_HLS_part": "0"}, {"_HLS_msn": f"{msn + 50}"}):
            answer = await self._http.get(self.url, params=directives)
            if answer.status_code != 400:
                self._say(f"refusal: {answer.status_code} for {directives}")
        answer = await self._http.get(urljoin(self.url, "part-999999999.m4s"))
        if answer.status_code != 404:
            self._say(f"refusal: {answer.status_code} for a part that does not exist")

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        former = list(self._tasks)

        async def after() -> None:
            # In order, so that each part can be compared with the one before.
            await asyncio.gather(*former, return_exceptions=True)
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
                self._say(f"failed: {error!r}")

        task = asyncio.create_task(after())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _back_off() -> None:
    """A client that got nothing new asks again a little later, as players do."""
    await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=0.1)


async def check(master: str, seconds: float, transport: httpx.AsyncBaseTransport | None = None) -> Report:
    """Play the stream of a multivariant playlist for so long; *transport* stands between, where one is given."""
    report = Report()
    limits = httpx.Limits(max_connections=64)
    heads = {"accept-encoding": "gzip"}
    async with httpx.AsyncClient(timeout=30.0, limits=limits, headers=heads, transport=transport) as http:
        answer = await http.get(master)
        answer.raise_for_status()
        report.say("master", multivariant.check(answer.content))
        names = multivariant.read(answer.content)
        renditions = [Rendition(urljoin(master, name), http, report) for name in names]
        until = time.monotonic() + seconds
        await asyncio.gather(*(each.play(until, renditions) for each in renditions))
    return report


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("master", help="address of a multivariant playlist")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    report = asyncio.run(check(options.master, options.seconds))
    sys.stdout.write("".join(f"{line}\n" for line in report.broken))
    sys.stdout.write(f"looked: {dict(report.looked)}\n{len(report.broken)} violations\n")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
