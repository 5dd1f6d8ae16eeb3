"""Replays against a real broker and a real store: at their pace, whole, resumed, and with what was removed removed."""

import json
from pathlib import Path

import pytest

from infra.telemetry import metrics
from schemas.items import Ended, Recording
from schemas.times import rfc3339
from tests.backends.nats import NatsServer
from tests.factories import comment, removed
from tests.replaying import LASTED_S, Stage, stage
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = pytest.mark.nats


def _reads() -> float:
    return float(metrics.RESUMED.labels("history")._value.get())  # noqa: SLF001 - the library has no other way to read one


def _raw(viewer: Viewer) -> str:
    return json.dumps([event.data for event in viewer.events])


async def _four(s: Stage) -> list[int]:
    """Said after 1, 2, 2 and 5.5 s."""
    return await s.play((1, comment(1)), (2, comment(2)), (2, comment(3)), (5.5, comment(4)))


async def test_it_keeps_the_recorded_pace(nats_server: NatsServer, tmp_path: Path) -> None:
    """Nothing a millisecond early, nothing late; what was said in the same millisecond is one delivery."""
    async with stage(nats_server.url, tmp_path) as s:
        await _four(s)
        viewer = await s.viewer().open()

        assert [event.data for event in viewer.events] == [{"prev": 0, "from": 0, "to": 0, "backfill": True, "items": []}]
        await s.advance(0.999)
        assert await s.texts(viewer) == []
        await s.advance(0.001)
        assert await s.texts(viewer) == ["comment 1"]
        await s.advance(1)
        assert await s.texts(viewer) == ["comment 1", "comment 2", "comment 3"]
        assert [len(event.data["items"]) for event in viewer.events] == [0, 1, 2]
        await s.advance(3.499)
        assert len(await s.texts(viewer)) == 3
        await s.advance(0.001)
        assert len(await s.texts(viewer)) == 4
        assert viewer.faults + viewer.gaps == []


@pytest.mark.parametrize(("speed", "seconds"), [("4", 0.25), ("0.5", 2.0), ("16", 0.0625)])
async def test_speeds(nats_server: NatsServer, tmp_path: Path, speed: str, seconds: float) -> None:
    """A second of the recording takes a speed's share of one."""
    async with stage(nats_server.url, tmp_path) as s:
        await _four(s)
        viewer = await s.viewer(f"speed={speed}").open()

        await s.advance(seconds * 0.99)
        assert await s.texts(viewer) == []
        await s.advance(seconds * 0.01)
        assert await s.texts(viewer) == ["comment 1"]


async def test_an_hour_does_not_drift(nats_server: NatsServer, tmp_path: Path) -> None:
    """However late each turn is, the next one delivers what its moment says: nothing adds up."""
    async with stage(nats_server.url, tmp_path) as s:
        s.change(ended_at=s.begins_ms + 3600_000)
        await s.play(*((12 * n, comment(n)) for n in range(1, 300)))
        viewer = await s.viewer(gzip=True).open()
        passed = 0.0
        while passed < 3590:
            await s.advance(37.1)
            passed += 37.1
            [served] = s.served
            assert len(await s.texts(viewer)) == min(299, int(passed / 12)), passed
            assert served.timeline.due(s.begins_ms + 3000_000) == pytest.approx(3000)
        assert viewer.faults + viewer.gaps == []


async def test_a_resume_goes_on_from_its_item(nats_server: NatsServer, tmp_path: Path) -> None:
    """A native reconnect: the header's item sets the clock, the address's stale `from` does not; ranges chain."""
    async with stage(nats_server.url, tmp_path) as s:
        seqs = await _four(s)
        viewer = await s.viewer(f"from={rfc3339(s.begins_ms + 5_000)}", last_id=seqs[1]).open()

        assert await s.texts(viewer) == ["comment 3"]
        assert viewer.events[0].data["prev"] == seqs[1]
        await s.advance(3.499)
        assert await s.texts(viewer) == ["comment 3"]
        await s.advance(0.001)
        assert await s.texts(viewer) == ["comment 3", "comment 4"]
        await s.advance(0)
        assert viewer.faults + viewer.gaps == []


async def test_a_page_resumes_and_says_when(nats_server: NatsServer, tmp_path: Path) -> None:
    """`last_event_id` and `from` in the query: the chain goes on from the one, the clock from the other, if that is later."""
    async with stage(nats_server.url, tmp_path) as s:
        seqs = await _four(s)
        later = await s.viewer(f"last_event_id={seqs[0]}&from={rfc3339(s.begins_ms + 5_000)}").open()
        await later.until(lambda v: v.texts == ["comment 2", "comment 3"])
        await s.advance(0.5)
        assert await s.texts(later) == ["comment 2", "comment 3", "comment 4"]
        assert later.events[0].data["prev"] == seqs[0]
        await later.cut()
        await eventually(lambda: not s.served)

        earlier = await s.viewer(f"last_event_id={seqs[1]}&from={rfc3339(s.begins_ms)}").open()
        assert await s.texts(earlier) == ["comment 3"]


async def test_from_a_time_or_a_seq(nats_server: NatsServer, tmp_path: Path) -> None:
    """It begins with the first item from there on; `backfill` is what was visible before; `prev` is what lies before both."""
    async with stage(nats_server.url, tmp_path) as s:
        seqs = await _four(s)
        for start in (rfc3339(s.begins_ms + 2_000), str(seqs[1])):
            viewer = await s.viewer(f"from={start}").open()
            assert viewer.events[0].data == {
                "prev": seqs[0], "from": seqs[0], "to": seqs[0], "backfill": True, "items": []
            }  # fmt: skip
            assert await s.texts(viewer) == ["comment 2", "comment 3"]
            await s.advance(3.5)
            assert len(await s.texts(viewer)) == 3
            await viewer.cut()
            await eventually(lambda: not s.served)

        between = await s.viewer(f"from={rfc3339(s.begins_ms + 3_000)}", backfill=2).open()
        first = between.events[0].data
        assert [item["seq"] for item in first["items"]] == seqs[1:3]
        assert (first["prev"], first["to"], first["backfill"]) == (seqs[0], seqs[2], True)
        await s.advance(2.499)
        assert between.texts == ["comment 2", "comment 3"]
        await s.advance(0.001)
        assert (await s.texts(between))[2:] == ["comment 4"]
        assert between.faults + between.gaps == []


async def test_removed_stays_removed(nats_server: NatsServer, tmp_path: Path) -> None:
    """Removed before, during or long after what is played: the text is never sent; what was played already is taken back."""
    async with stage(nats_server.url, tmp_path) as s:
        seqs = await s.play(
            (1, comment(1, text="secret one")), (2, comment(2)), (3, removed(1)), (4, comment(3, text="secret three"))
        )
        viewer = await s.viewer().open()
        await s.advance(2)
        await s.texts(viewer)
        # Its page has been read.
        assert viewer.items[0] == {"type": "removed", "seq": seqs[0], "at": rfc3339(s.begins_ms + 1_000),
                                   "comment_id": "1", "reason": "moderator"}  # fmt: skip
        hidden, taken_back = await s.log(removed(3)), await s.log(removed(2))
        await viewer.until(lambda v: [e.data["seq"] for e in v.events if e.name == "removed"] == [hidden, taken_back])
        await s.advance(2)
        await s.texts(viewer)

        assert [item["type"] for item in viewer.items] == ["removed", "comment", "removed", "removed"]
        assert viewer.items[-1]["comment_id"] == "3"
        await s.advance(LASTED_S)
        await viewer.until(lambda v: v.over)
        # At the end, what the log took after it.
        assert [item["seq"] for item in viewer.items[-2:]] == [hidden, taken_back]
        assert "secret" not in _raw(viewer)
        assert viewer.faults + viewer.gaps == []


async def test_removed_while_nobody_watched(nats_server: NatsServer, tmp_path: Path) -> None:
    """Read for viewers who have left, removed and archived after that: whoever comes then is not sent its text."""
    async with stage(nats_server.url, tmp_path) as s:
        await s.play((1, comment(1, text="secret")), (2, comment(2)), (30, comment(3)))
        first = await s.viewer().open()
        await s.advance(3)
        assert await s.texts(first) == ["secret", "comment 2"]
        await first.cut()
        await eventually(lambda: not s.served)
        await s.idle()
        await s.play((40, removed(1)))
        second = await s.viewer().open()
        await s.advance(3)

        assert await s.texts(second) == ["comment 2"]
        assert [item["type"] for item in second.items] == ["removed", "comment"]


async def test_a_backfill_hides_what_is_removed(nats_server: NatsServer, tmp_path: Path) -> None:
    """As everywhere: a placeholder in its place, and it does not count."""
    async with stage(nats_server.url, tmp_path) as s:
        await s.play((1, comment(1)), (2, comment(2, text="secret")), (3, comment(3)), (4, removed(2)))
        viewer = await s.viewer(f"from={rfc3339(s.begins_ms + 3_500)}", backfill=2).open()

        assert [item["type"] for item in viewer.events[0].data["items"]] == ["comment", "removed", "comment"]
        assert "secret" not in _raw(viewer)


async def test_store_and_log_are_one(nats_server: NatsServer, tmp_path: Path) -> None:
    """Half of it is archived, half is on the log alone: one chain, each item once, over several pages."""
    async with stage(nats_server.url, tmp_path) as s:
        stored = await s.play(*((n / 100, comment(n)) for n in range(1, 451)))
        fresh = [await s.log(comment(1000 + n)) for n in range(450)]
        before = _reads()
        viewers = [await s.viewer(f"from={stored[n]}", gzip=n % 2 == 0).open() for n in range(0, 450, 30)]
        await s.advance(3700)
        for viewer in viewers:
            await viewer.until(lambda v: v.over)

        for n, viewer in zip(range(0, 450, 30), viewers, strict=True):
            assert viewer.seqs == stored[n:] + fresh
            assert viewer.faults + viewer.gaps == []
        # Fifteen of them, at fifteen positions, five pages each.
        assert _reads() - before < 40


async def test_it_ends(nats_server: NatsServer, tmp_path: Path) -> None:
    """With the last item, whenever the log took it: `end`, a long `retry`, and the connection closes; a resume ends at once."""
    async with stage(nats_server.url, tmp_path) as s:
        recording = Recording(recording_id="r", hls_url="/hls/x", duration_s=60.0)
        seqs = await s.play(
            (1, comment(1)), (60.01, Ended(revision=1, ended_at=rfc3339(s.begins_ms))), (60.5, comment(2)), (900, recording)
        )
        viewer = await s.viewer().open()
        await s.advance(59.9)
        assert await s.texts(viewer) == ["comment 1"]
        assert not viewer.over
        await s.advance(0.2)
        await viewer.ended()

        assert viewer.seqs == seqs
        last = viewer.events[-1]
        assert (last.name, last.id, last.data) == ("end", None, {"last": seqs[-1]})
        assert viewer.retry is not None
        assert viewer.retry > 3_600_000
        await viewer.open()
        await s.settle()
        await viewer.ended()
        assert viewer.events[-1].name == "end"
        assert viewer.seqs == seqs


async def test_a_live_stream_is_played_up_to_the_present(nats_server: NatsServer, tmp_path: Path) -> None:
    """At the tail it goes on with what is said, as it is said; when the stream ends, so does the replay."""
    async with stage(nats_server.url, tmp_path, live=True) as s:
        await s.play((1, comment(1)), (1800, comment(2)))
        viewer = await s.viewer("speed=16").open()
        await s.advance(112.5)
        assert await s.texts(viewer) == ["comment 1", "comment 2"]
        await s.advance(600)
        await s.log(comment(3))
        await viewer.until(lambda v: len(v.texts) == 3)
        await s.log(Ended(revision=1, ended_at=rfc3339(s.clock.now_ms())))
        s.change(status="ended", ended_at=s.clock.now_ms())
        await viewer.until(lambda v: v.items[-1]["type"] == "ended")
        await s.advance(1)
        assert not viewer.over
        await s.advance(5)
        await viewer.ended()
        assert viewer.events[-1].name == "end"
        assert viewer.faults + viewer.gaps == []


async def test_it_is_never_silent(nats_server: NatsServer, tmp_path: Path) -> None:
    """A comment line within 15 s, while nothing is said for a minute."""
    async with stage(nats_server.url, tmp_path) as s:
        await s.play((59, comment(1)))
        viewer = await s.viewer().open()
        for beats in range(1, 5):
            await s.advance(11)
            await eventually(lambda: viewer.heartbeats >= beats)  # noqa: B023 - awaited here
        assert viewer.texts == []


async def test_what_is_lost_is_a_gap(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Expired from the log before it was archived: told as a gap in its place, and the chain goes on behind it."""
    async with stage(own_nats_server.url, tmp_path) as s:
        stored = await s.play((1, comment(1)), (2, comment(2)))
        lost = [await s.log(comment(3)), await s.log(comment(4))]
        kept = await s.log(comment(5))
        await s.broker.connection.request("$JS.API.STREAM.PURGE.LIVE_0", json.dumps({"seq": kept}).encode())
        viewer = await s.viewer().open()
        await s.advance(LASTED_S)
        await viewer.ended()

        assert viewer.seqs == [*stored, kept]
        assert viewer.gaps == [{"from": stored[-1] + 1, "to": lost[-1], "reason": "expired"}]
        assert viewer.faults == []


async def test_a_position_of_another_log_is_reset(nats_server: NatsServer, tmp_path: Path) -> None:
    """Above the tail, or from before the log was made: a gap, and the replay begins where the address says."""
    async with stage(nats_server.url, tmp_path) as s:
        seqs = await _four(s)
        above = await s.viewer(f"from={seqs[2]}", last_id=2**52).open()
        await above.until(lambda v: v.gaps)
        below = await s.viewer(last_id=7).open()
        await below.until(lambda v: v.gaps)
        await s.advance(LASTED_S)
        await above.ended()
        await below.ended()

        # The address is stale on a native reconnect: the beginning.
        assert (above.gaps, above.seqs) == ([{"from": 0, "to": 0, "reason": "reset"}], seqs)
        [gap] = below.gaps
        assert (gap["from"], gap["reason"], below.seqs) == (8, "reset", seqs)
        assert below.faults == []
