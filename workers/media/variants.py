"""What the multivariant playlist of one stream says: which qualities there are, and since when each may be told of."""

from collections.abc import Iterable
from pathlib import Path

from workers.media import master
from workers.media.cmaf.setup import Setup
from workers.media.filing import Filing
from workers.media.master import Variant
from workers.media.shelf import write

MASTER = "master.m3u8"
#: The passthrough.
SOURCE = "source"


class Variants:
    """The renditions that were described; its file follows in a thread."""

    def __init__(self, folder: Path, filing: Filing) -> None:
        """*folder* is the stream's."""
        self._folder = folder
        self._filing = filing
        self._held = False
        self._known: dict[str, Variant] = {}

    def __getitem__(self, name: str) -> Variant:
        return self._known[name]

    def describe(self, name: str, setup: Setup) -> None:
        """A run of *name* begins; what was measured of the one before counts where it is the same quality."""
        fresh = master.variant(name, setup)
        before = self._known.get(name)
        if before is None or (before.codecs, before.height, before.width) != (fresh.codecs, fresh.height, fresh.width):
            self._known[name] = fresh

    def measure(self, name: str, size: int, seconds: float, pictures: int, target: int) -> None:
        """Count a segment in, as `Variant.measure`; what is announced by it is written."""
        if self._known[name].measure(size, seconds, pictures, target):
            self.write()

    def hold(self, *, held: bool) -> None:
        """Whether a passthrough that few can play waits with the playlist, until another rendition is listed."""
        if held != self._held:
            self._held = held
            self.write()

    def text(self) -> bytes | None:
        """The playlist; `None` while there is no quality to list."""
        listed = [each for each in self._known.values() if each.bandwidth]
        if self._held and [each.name for each in listed] == [SOURCE]:
            return None
        return master.render(listed).encode() if listed else None

    def qualities(self, names: Iterable[str]) -> list[str]:
        """What people call the renditions *names*, highest first, each once."""
        known = [self._known[name] for name in names if name in self._known]
        return list(dict.fromkeys(each.quality for each in sorted(known, key=lambda each: each.height, reverse=True)))

    def withdraw(self, name: str) -> None:
        """*name* is gone."""
        self._known.pop(name, None)

    def write(self) -> None:
        """Put the playlist into its file, if there is one."""
        text = self.text()
        if text is not None:
            self._filing.put(lambda: write(self._folder / MASTER, text))
