"""The deliberate mistakes in the packaging of video."""

from scripts.bug import Bug

MEDIA_BUGS = [
    Bug(
        "rounded-sound",
        "frames of sound lie where FLV's milliseconds put them: gaps and overlaps of a few samples",
        "workers/media/cmaf/sounds.py",
        "at = claimed if self._next is None else self._next",
        "at = claimed",
        "tests/unit/workers/media/test_cmaf.py",
    ),
    Bug(
        "late-picture",
        "a picture that comes late makes its part longer than the announced target",
        "workers/media/cmaf/edges.py",
        "return self.limit_ms is not None and lasts_ms > self.limit_ms",
        "return False",
        "tests/unit/workers/media/test_cmaf.py",
    ),
    Bug(
        "mark-missed",
        "a transcoded rendition's segment begins one picture after the passthrough's",
        "workers/media/cmaf/edges.py",
        "if start <= shown_ms + NEAR_MS), default=-1)",
        "if start < shown_ms), default=-1)",
        "tests/unit/workers/media/test_cmaf.py",
    ),
    Bug(
        "first-guess",
        "the target duration is announced after the first segment, however short that was",
        "workers/media/run.py",
        "return self._closed_ms >= FIRST_MS",
        "return self._closed_ms > 0",
        "tests/unit/workers/media/test_publication.py",
    ),
    Bug(
        "part-twice",
        "a gap's parts spend no numbers: the next part has a name that was used",
        "workers/media/rendition.py",
        "            self.following += 1\n            lost -= piece",
        "            lost -= piece",
        "tests/unit/workers/media/test_publication.py",
    ),
    Bug(
        "old-pictures",
        "who joins during an outage is shown what was before it",
        "workers/media/publication.py",
        "self._fresh = self._discontinuity + 1",
        "self._fresh = self._discontinuity",
        "tests/unit/workers/media/test_publication.py",
    ),
    Bug(
        "skipped-too-much",
        "a delta update leaves out segments within the skip boundary",
        "workers/media/m3u8.py",
        "if lasts < SKIP_AFTER * target_ms or",
        "if lasts < PARTS_WITHIN * target_ms or",
        "tests/unit/workers/media/test_live_playlists.py",
    ),
    Bug(
        "stream-outlived",
        "a worker that was paused past its lease writes on",
        "infra/jetstream/streamleases.py",
        "return self._leases.clock.monotonic() < self.held_until",
        "return self.held_until > 0",
        "tests/integration/test_streamleases.py",
    ),
]
