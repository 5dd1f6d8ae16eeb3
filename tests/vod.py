"""A recording made from outside: whatever the live playlist names is taken, and listed as one VOD playlist."""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urljoin

import httpx


@dataclass
class Tape:
    """Segments in order, as a player would have got them."""

    master: str
    files: dict[str, bytes] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _map: str = ""

    async def record(self, stop: asyncio.Event) -> None:
        """Take what is new twice a second, until *stop*."""
        async with httpx.AsyncClient(timeout=10) as client:
            while not stop.is_set():
                await self._take(client)
                try:
                    await asyncio.wait_for(stop.wait(), 0.5)
                except TimeoutError:
                    continue
            await self._take(client)

    def playlist(self, shift_ms: int = 0) -> bytes:
        """The media playlist; *shift_ms* moves every moment, which a measurement has to notice."""
        head = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:4", "#EXT-X-PLAYLIST-TYPE:VOD"]
        text = "\n".join([*head, *self.lines, "#EXT-X-ENDLIST", ""])
        return shifted(text, shift_ms).encode()

    async def _take(self, client: httpx.AsyncClient) -> None:
        master = await client.get(self.master)
        if master.status_code != 200:
            return
        variant = next(line for line in master.text.splitlines() if line and not line.startswith("#"))
        url = urljoin(self.master, variant)
        playlist = await client.get(url)
        if playlist.status_code == 200:
            await self._read(client, url, playlist.text)

    async def _read(self, client: httpx.AsyncClient, url: str, text: str) -> None:
        tags: list[str] = []
        described = ""
        for line in text.splitlines():
            if line.startswith("#EXT-X-MAP:"):
                described = line
            elif line.startswith(("#EXTINF:", "#EXT-X-PROGRAM-DATE-TIME:")) or line == "#EXT-X-DISCONTINUITY":
                tags.append(line)
            elif line and not line.startswith("#"):
                if line not in self._seen:
                    self._seen.add(line)
                    await self._keep(client, url, line, tags, described)
                tags = []

    async def _keep(self, client: httpx.AsyncClient, url: str, name: str, tags: list[str], described: str) -> None:
        self.files[name] = (await client.get(urljoin(url, name))).content
        if described != self._map:
            self._map = described
            [made] = re.findall(r'URI="([^"]+)"', described)
            self.files[made] = (await client.get(urljoin(url, made))).content
            tags = [tag for tag in tags if tag == "#EXT-X-DISCONTINUITY"] + [described] + [
                tag for tag in tags if tag != "#EXT-X-DISCONTINUITY"
            ]  # fmt: skip
        self.lines += [*tags, name]


def shifted(playlist: str, shift_ms: int) -> str:
    """The playlist with every moment moved."""

    def move(found: re.Match[str]) -> str:
        moved = datetime.fromisoformat(found[1]) + timedelta(milliseconds=shift_ms)
        return "#EXT-X-PROGRAM-DATE-TIME:" + moved.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    return re.sub(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)", move, playlist)
