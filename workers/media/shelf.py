"""One rendition's folder: its segments, their initialisation segments, and its plain playlist. Blocking; called in a thread.

A file appears under its final name only when it is whole, is never written again, and its name is never used twice: it
holds the generation, which is read back from the names after a restart. Files stay a while after they left the playlist
(RFC 8216, 6.2.2), then go: a folder holds some 25 segments at most.
"""

from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from workers.media import m3u8
from workers.media.playlist import WINDOW, Playlist

INDEX = "index.m3u8"


def init_uri(generation: int) -> str:
    """The name of a generation's initialisation segment."""
    return f"init-{generation}.mp4"


def segment_uri(generation: int, number: int) -> str:
    """The name of the segment with media sequence number *number*."""
    return f"segment-{generation}-{number}.m4s"


class Shelf:
    """One quality of one stream on disk. All methods raise `OSError` when the disk is full or away."""

    def __init__(self, folder: Path, monotonic: Callable[[], float]) -> None:
        self.folder = folder
        self.generation = 0
        self._monotonic = monotonic
        self._retired: deque[tuple[float, str]] = deque()

    def open(self) -> Playlist | None:
        """Find out where an earlier process left off, and its playlist."""
        playlist = None
        index = self.folder / INDEX
        if index.exists():
            try:
                playlist = m3u8.parse(index.read_text())
            except ValueError:
                playlist = None
        if not self.folder.exists():
            return None
        listed = {entry.uri for entry in playlist.entries} if playlist else set()
        for path in sorted(self.folder.iterdir()):
            self.generation = max(self.generation, _generation(path.name))
            if path.suffix == ".m4s" and path.name not in listed:
                self._retire(path.name, 1)
            elif path.suffix == ".part":
                path.unlink(missing_ok=True)
        return playlist

    def write_init(self, generation: int, data: bytes) -> None:
        """Write the initialisation segment of one generation."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.generation = max(self.generation, generation)
        write(self.folder / init_uri(generation), data)

    def write_segment(self, uri: str, data: bytes) -> None:
        """Write a segment; `write_index` may name it afterwards."""
        write(self.folder / uri, data)

    def write_index(self, text: str, maps: Iterable[str], retired: Iterable[str], target: int) -> None:
        """Write the playlist, which uses *maps* and no longer names *retired*, then let go of what nobody asks for."""
        write(self.folder / INDEX, text.encode())
        for name in retired:
            self._retire(name, target)
        self._sweep(maps)

    def withdraw(self, retired: Iterable[str], target: int) -> None:
        """This quality is no longer made: a playlist that stands still holds viewers, a missing one sends them on."""
        (self.folder / INDEX).unlink(missing_ok=True)
        for name in retired:
            self._retire(name, target)

    def _retire(self, name: str, target: int) -> None:
        self._retired.append((self._monotonic() + (WINDOW + 2) * target, name))

    def _sweep(self, maps: Iterable[str]) -> None:
        now = self._monotonic()
        while self._retired and self._retired[0][0] <= now:
            (self.folder / self._retired.popleft()[1]).unlink(missing_ok=True)
        used = {_generation(name) for _, name in self._retired} | {_generation(name) for name in maps} | {self.generation}
        for path in self.folder.glob("init-*.mp4"):
            if _generation(path.name) not in used:
                path.unlink(missing_ok=True)


def _generation(name: str) -> int:
    """The generation in a file's name; 0 where there is none."""
    words = name.partition(".")[0].split("-")
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def write(path: Path, data: bytes) -> None:
    """Put *data* under *path* in one step: a reader sees the old file or the new one, whole."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
