"""One run: the parts between two discontinuities, held back until the numbers that all players rely on are known.

Those are the target durations, which the first groups of pictures tell and which may never change, and the date of the first
picture, which is only as good as the number of arrivals it was taken from.
"""

from collections.abc import Callable

from workers.media.cmaf.edges import NEAR_MS
from workers.media.cmaf.writer import Part
from workers.media.publication import Publication
from workers.media.timeline import Timeline
from workers.media.variants import SOURCE

#: Media that is looked at before the target duration is announced: two groups of 1 s or one of 2 s.
FIRST_MS = 1900
#: Media that is looked at before a run's dates are fixed, where the target duration is known already.
SETTLE_MS = 500
_DATES = 64


class Run:
    """Renditions hand in their parts; the passthrough's come first."""

    def __init__(
        self,
        number: int,
        publication: Publication,
        timeline: Timeline,
        published: Callable[[str], None],
        *,
        began: Callable[[int, int], None] = lambda _discontinuity, _msn: None,
        shown: Callable[[str, Part], None] = lambda _name, _part: None,
    ) -> None:
        """*number* is the generation; *published* is told the rendition after each complete segment.

        *began* is told the discontinuity and the first segment's number before anything can be fetched, *shown* the rendition
        and the part after each.
        """
        self.number = number
        #: Transcoded renditions that are made now -> whether nothing comes of them at the moment.
        self.down: dict[str, bool] = {}
        self._publication = publication
        self._timeline = timeline
        self._published = published
        self._began = began
        self._shown = shown
        self._held: list[tuple[str, Part]] = []
        self._base: int | None = None
        self._discontinuity = 0
        #: Segment -> where it starts on the encoder's clock, and its date, which all renditions share.
        self._starts: dict[int, tuple[int, int]] = {}
        self._seen_ms = 0
        self._closed_ms = 0
        self._segment_ms = 0
        self._longest_ms = 0
        #: Where the passthrough can be fetched up to, on the encoder's clock.
        self.reached_ms: int | None = None

    @property
    def shown(self) -> bool:
        """Whether players see it."""
        return self._base is not None

    def date_ms(self, media_ms: int) -> int:
        """The EXT-X-PROGRAM-DATE-TIME of *media_ms*, on the encoder's clock."""
        return self._timeline.date_ms(media_ms)

    def take(self, name: str, part: Part) -> None:
        """One part of rendition *name*, in order."""
        if self._base is not None:
            self._show(name, part, self._base)
            return
        self._held.append((name, part))
        if name == SOURCE:
            self._look(part)
            if self._is_settled():
                self._release()

    def finish(self) -> None:
        """Nothing more comes of the passthrough: what was held back is all there is."""
        if self._base is None and self._held:
            self._longest_ms = max(self._longest_ms, self._segment_ms)
            self._release()

    def _look(self, part: Part) -> None:
        self._seen_ms += part.duration_ms
        self._segment_ms += part.duration_ms
        if part.closes:
            self._closed_ms += self._segment_ms
            self._longest_ms = max(self._longest_ms, self._segment_ms)
            self._segment_ms = 0

    def _is_settled(self) -> bool:
        if self._publication.target is None:
            return self._closed_ms >= FIRST_MS
        return self._seen_ms >= SETTLE_MS

    def _release(self) -> None:
        start_ms = self._held[0][1].start_ms
        self._timeline.freeze(start_ms, self._publication.end_ms())
        self._discontinuity, self._base = self._publication.begin(self._longest_ms, self._timeline.date_ms(start_ms))
        self.reached_ms = start_ms
        self._began(self._discontinuity, self._base)
        held, self._held = self._held, []
        for name, part in held:
            self._show(name, part, self._base)

    def _show(self, name: str, part: Part, base: int) -> None:
        msn = base + part.segment
        if name == SOURCE and part.opens:
            before = self._starts.get(part.segment - 1)
            if before is not None:
                self._timeline.follow(part.start_ms - before[0])
            self._starts[part.segment] = part.start_ms, self._timeline.date_ms(part.start_ms)
            self._starts.pop(part.segment - _DATES, None)
        if part.segment not in self._starts:
            return
        start_ms, date_ms = self._starts[part.segment]
        # Behind an open group of pictures a transcoded segment begins later than the passthrough's, by whole pictures.
        apart = part.opens and abs(part.start_ms - start_ms) > NEAR_MS
        if apart:
            date_ms += round(part.start_ms - start_ms)
        complete = self._publication.add(name, self.number, msn, part, date_ms, self._discontinuity)
        if name == SOURCE:
            self.reached_ms = round(part.start_ms + part.duration_ms)
        self._shown(name, part)
        if not complete:
            return
        if name == SOURCE:
            for rung, is_down in self.down.items():
                if is_down:
                    self._publication.catch_up(rung, msn + 1)
        self._published(name)
