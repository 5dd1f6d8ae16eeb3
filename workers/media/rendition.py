"""One rendition's folder: its segments, their initialisation segments, and its playlist. Blocking; called in a thread.

A file appears under its final name only when it is whole, is never written again, and its name is never used twice: it
begins with the generation, which goes up with every start of ffmpeg and is read back from the names after a restart.
Files stay a while after they left the playlist (RFC 8216, 6.2.2), then go: a folder holds some 25 segments at most.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path

from workers.media.cutter import Segment
from workers.media.playlist import WINDOW, Entry, Playlist, parse

INDEX = "index.m3u8"
#: An encoder that returns later than this finds its old pictures taken out of the window.
STALE_MS = 30_000


class Rendition:
    """One quality of one stream on disk. All methods raise `OSError` when the disk is full or away."""

    def __init__(self, folder: Path, monotonic: Callable[[], float]) -> None:
        self.folder = folder
        self.playlist: Playlist | None = None
        self.generation = 0
        self._monotonic = monotonic
        self._retired: deque[tuple[float, str]] = deque()

    def open(self) -> None:
        """Find out where an earlier process left off."""
        index = self.folder / INDEX
        if index.exists():
            try:
                self.playlist = parse(index.read_text())
            except ValueError:
                self.playlist = None
        if not self.folder.exists():
            return
        listed = {entry.uri for entry in self.playlist.entries} if self.playlist else set()
        for path in sorted(self.folder.iterdir()):
            number, dash, _ = path.name.partition("-")
            if dash and number.isdecimal():
                self.generation = max(self.generation, int(number))
            if path.suffix == ".m4s" and path.name not in listed:
                self._retire(path.name)
            elif path.suffix == ".part":
                path.unlink(missing_ok=True)

    def write_init(self, generation: int, data: bytes) -> str:
        """Write the initialisation segment of one run and return its name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.generation = max(self.generation, generation)
        name = f"{generation}-init.mp4"
        write(self.folder / name, data)
        return name

    def publish(self, segment: Segment, entry: Entry, target: int) -> None:
        """Write a segment, then the playlist that names it, then let go of what left the window."""
        write(self.folder / entry.uri, segment.data)
        if self.playlist is None:
            self.playlist = Playlist(target)
        self.playlist.append(entry, independent=segment.independent)
        for old in self.playlist.trim(STALE_MS):
            self._retire(old.uri)
        write(self.folder / INDEX, self.playlist.render().encode())
        self._sweep()

    def finish(self) -> None:
        """The stream has ended: nothing is ever appended again."""
        if self.playlist is not None and not self.playlist.ended:
            self.playlist.ended = True
            write(self.folder / INDEX, self.playlist.render().encode())

    def withdraw(self) -> None:
        """This quality is no longer made: a playlist that stands still holds viewers, a missing one sends them on."""
        (self.folder / INDEX).unlink(missing_ok=True)
        if self.playlist is not None:
            for entry in self.playlist.entries:
                self._retire(entry.uri)
        self.playlist = None

    def next_uri(self, generation: int) -> str:
        """The name of the next segment."""
        number = self.playlist.sequence + len(self.playlist.entries) if self.playlist else 0
        return f"{generation}-{number}.m4s"

    def _retire(self, name: str) -> None:
        target = self.playlist.target if self.playlist else 1
        self._retired.append((self._monotonic() + (WINDOW + 2) * target, name))

    def _sweep(self) -> None:
        now = self._monotonic()
        while self._retired and self._retired[0][0] <= now:
            (self.folder / self._retired.popleft()[1]).unlink(missing_ok=True)
        used = {name.partition("-")[0] for _, name in self._retired} | {str(self.generation)}
        used |= {entry.map_uri.partition("-")[0] for entry in self.playlist.entries} if self.playlist else set()
        for path in self.folder.glob("*-init.mp4"):
            if path.name.partition("-")[0] not in used:
                path.unlink(missing_ok=True)


def write(path: Path, data: bytes) -> None:
    """Put *data* under *path* in one step: a reader sees the old file or the new one, whole."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
