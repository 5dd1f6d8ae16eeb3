"""The pages of history that were read a moment ago, of all streams, bounded in bytes: what was used longest ago goes first."""

from bisect import bisect_right, insort
from collections import OrderedDict

from gateway.replay.page import Page


class Library:
    """Pages of one stream never overlap: a reader asks `next_after` where to stop."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pages: OrderedDict[tuple[str, int], Page] = OrderedDict()
        #: Stream -> where its pages begin, ascending.
        self._begins: dict[str, list[int]] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._pages)

    def at(self, stream_id: str, position: int) -> Page | None:
        """The page that leads on from *position*, which may lie inside it."""
        begins = self._begins.get(stream_id, [])
        index = bisect_right(begins, position) - 1
        if index < 0:
            return None
        page = self._pages[stream_id, begins[index]]
        if position >= page.to:
            return None
        self._pages.move_to_end((stream_id, page.after))
        return page

    def next_after(self, stream_id: str, position: int) -> int | None:
        """Where the first page beyond *position* begins."""
        begins = self._begins.get(stream_id, [])
        index = bisect_right(begins, position)
        return begins[index] if index < len(begins) else None

    def put(self, stream_id: str, page: Page) -> None:
        """Keep *page*; another that begins where it does goes."""
        self._drop(stream_id, page.after)
        self._pages[stream_id, page.after] = page
        insort(self._begins.setdefault(stream_id, []), page.after)
        self.bytes += page.size
        while self.bytes > self._max_bytes and len(self._pages) > 1:
            self._drop(*next(iter(self._pages)))

    def forget(self, stream_id: str) -> None:
        """Let go of a stream's pages."""
        for after in list(self._begins.get(stream_id, [])):
            self._drop(stream_id, after)

    def _drop(self, stream_id: str, after: int) -> None:
        page = self._pages.pop((stream_id, after), None)
        if page is None:
            return
        self.bytes -= page.size
        begins = self._begins[stream_id]
        begins.remove(after)
        if not begins:
            del self._begins[stream_id]
