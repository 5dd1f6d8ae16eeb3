"""What the metrics say of frames and parts that are late, and of an ffmpeg's speed."""

from infra.telemetry import metrics
from tests.dialogues import keyframe
from workers.media.cmaf.writer import Part
from workers.media.flv import VIDEO, Tag
from workers.media.punctuality import Punctuality
from workers.media.speed import Speed


def value(name: str, **labels: str) -> float:
    """A sample as it would be scraped."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def part(start_ms: int) -> Part:
    """A part of 0.2 s."""
    return Part(0, start_ms, 200, independent=True, opens=True, closes=False, pictures=5, data=b"")


def test_pictures_that_come_later_than_the_quickest_are_late() -> None:
    """By more than half a second; a clock that drifts by as much in an hour makes none."""
    watch, before = Punctuality(VIDEO), value("ovation_ingest_frames_late_total")
    for at in range(0, 10_000, 40):
        watch.arrived(Tag(VIDEO, at, keyframe(20)), 100 + at / 1000 + (0.6 if 4000 <= at < 4400 else 0.0))
    assert value("ovation_ingest_frames_late_total") - before == 10
    watch, before = Punctuality(VIDEO), value("ovation_ingest_frames_late_total")
    for at in range(0, 7_200_000, 1000):
        watch.arrived(Tag(VIDEO, at, keyframe(20)), at / 1000 * 1.0002)
    assert value("ovation_ingest_frames_late_total") == before


def test_a_parts_delay_counts_from_its_last_picture() -> None:
    """And it is late when it follows the one before by more than it lasts and 100 ms."""
    watch = Punctuality(VIDEO)
    late, count, total = "ovation_parts_late_total", "ovation_part_delay_seconds_count", "ovation_part_delay_seconds_sum"
    before = [value(each, rendition="77p") for each in (late, count, total)]
    for at in range(0, 800, 40):
        watch.arrived(Tag(VIDEO, at, keyframe(20)), at / 1000)
    # The last pictures are those of 160, 360 and 560 ms.
    for start_ms, now in ((0, 0.46), (200, 0.66), (400, 1.16)):
        watch.shown("77p", part(start_ms), now)
    after = [value(each, rendition="77p") for each in (late, count, total)]
    assert [round(b - a, 3) for a, b in zip(before, after, strict=True)] == [1, 3, 0.3 + 0.3 + 0.6]


def test_an_ffmpegs_speed_is_what_comes_out_per_second() -> None:
    """By rendition; what it takes to start is not counted."""
    speed = Speed([78, 79], 1000, 0.0)
    assert speed.behind_ms(1500) == 500
    assert speed.measure(6000, 5.0)
    speed.made(78, 6000)
    speed.made(79, 6000)
    assert not speed.measure(6500, 9.0)
    assert speed.measure(11_000, 10.0)
    speed.made(78, 11_000)
    speed.made(79, 8500)
    assert speed.measure(16_000, 15.0)
    assert speed.behind_ms(16_000) == 5000
    found = [value("ovation_encoder_speed_sum", rendition=f"{height}p") for height in (78, 79)]
    assert found == [1.0, 0.5]
