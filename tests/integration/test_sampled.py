"""Samples through whole hubs: the same for a person on every gateway; by themselves where more comes than can be written."""

import asyncio
import uuid
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from gateway.fanout.audience import Audience
from gateway.fanout.degradation import InForce, Report
from infra.environment import load
from infra.jetstream.publisher import PubAck
from infra.telemetry import metrics
from schemas import codec, subjects
from schemas.items import User
from tests.backends.nats import NatsServer
from tests.factories import comment
from tests.hubs import Gateway, gateway
from tests.waits import PATIENCE_S, eventually

pytestmark = pytest.mark.nats

PER_S = 10


def _audience(g: Gateway) -> Audience:
    found = g.hub.audience(g.record.stream_id)
    assert found is not None
    return found


async def _say_many(g: Gateway, start: int, count: int) -> list[PubAck]:
    subject = subjects.live(0, g.record.stream_id)
    posts = (g.broker.publisher.publish(subject, codec.encode(comment(start + n)), uuid.uuid4().hex) for n in range(count))
    return sorted(await asyncio.gather(*posts), key=lambda ack: ack.seq)


async def _announce(g: Gateway, told: InForce) -> None:
    """What a gateway says each second that decides for the others, since its name sorts first."""
    subject = subjects.pulse(0, g.record.stream_id)
    for message in (Report(told.by, 1.0, 1.0), told):
        await g.broker.feed.tell(subject, msgspec.json.encode(message))


async def test_a_sampled_stream_is_a_chain_and_the_same_everywhere(nats_server: NatsServer, tmp_path: Path) -> None:
    """Past the policy's threshold viewers get a share, whose range still chains; two gateways show a person the same.

    Also where a second of the log has more than it may show.
    """
    settings = load({"OVATION_POLICY": f"0:0:1000:1:0,2:0:1000:0.25:{PER_S}", "OVATION_SAMPLE_FROM": "2"})
    async with (
        gateway(nats_server.url, tmp_path / "a", settings=settings) as a,
        gateway(nats_server.url, tmp_path / "b", a.record, settings) as b,
    ):
        first, second = await a.viewer(backfill=0, person=8).open(), await b.viewer(backfill=0, person=8).open()
        other = await b.viewer(backfill=0, person=9, gzip=True).open()
        await eventually(lambda: all(_audience(g).degradation.in_force.share == 0.25 for g in (a, b)))
        # A share that changes is heard by each at its own place in the log: this one stays.
        told = structs.replace(_audience(a).degradation.in_force, by="a third one")
        await _announce(a, told)
        await eventually(lambda: all(_audience(g).degradation.in_force == told for g in (a, b)))
        seqs = []
        for n in range(8):
            await _announce(a, told)
            seqs += [ack.seq for ack in await _say_many(a, 50 * n + 1, 50)]
        creator = await a.say(structs.replace(comment(1000), user=User(id="ada", name="Ada", badges=["creator"])))
        for viewer in (first, second, other):
            await viewer.until(lambda v: v.last_id == creator)

        assert first.seqs == second.seqs
        assert first.seqs[-1] == other.seqs[-1] == creator
        assert set(first.seqs) != set(other.seqs)
        assert [viewer.faults + viewer.gaps for viewer in (first, second, other)] == [[]] * 3
        seconds = Counter(item["at"][:19] for item in first.items[:-1])
        assert max(seconds.values()) == PER_S
        sampled = [event.data["sampled"] for event in first.events if event.name == "comments" and "sampled" in event.data]
        assert sum(each["of"] for each in sampled) == 401
        assert sum(each["shown"] for each in sampled) == len(first.seqs)
        # A resume from the ring repeats the cohort's share.
        resumed = await a.viewer(last_id=seqs[0], person=8).open()
        await resumed.until(lambda v: v.last_id == creator)
        assert [seq for seq in first.seqs if seq > seqs[0]] == resumed.seqs


async def test_more_than_can_be_written_is_late_and_then_sampled(nats_server: NatsServer, tmp_path: Path) -> None:
    """What waits for its turn counts as late, however quick each flush is; three such seconds, and less is shown; all chain."""
    # One comment a window: a machine of any speed writes them more slowly than they are published.
    settings = load({"OVATION_POLICY": "0:0:1:1:0", "OVATION_SAMPLE_FROM": "2", "OVATION_SAMPLE_DELIVERY_MS": "200"})
    async with gateway(nats_server.url, tmp_path, settings=settings) as g:
        viewers = [await g.viewer(backfill=0, person=n, gzip=n % 2 == 0).open() for n in range(16)]
        reports: list[Report] = []

        def hear(_subject: str, payload: bytes) -> None:
            if payload.startswith(b'{"kind":"report"'):
                reports.append(msgspec.json.decode(payload, type=Report))

        listening = await g.broker.feed.listen(subjects.pulse(0, g.record.stream_id), hear)
        said = last = 0
        async with asyncio.timeout(PATIENCE_S):
            while not _audience(g).degradation.in_force.samples:
                await eventually(lambda: _audience(g).windower.pending < 1500)
                last = (await _say_many(g, said + 1, 100))[-1].seq
                said += 100
        await eventually(lambda: sum(report.delivery_ms > 200 for report in reports) >= 3)
        await listening.end()
        for viewer in viewers:
            await viewer.until(lambda v: v.last_id == last)

        late = [report.delivery_ms for report in reports if report.delivery_ms > 200]
        assert late[-1] > late[0]
        assert max(report.inflow for report in reports) <= said
        assert sum(report.inflow for report in reports) > said / 10
        assert [viewer.faults + viewer.gaps for viewer in viewers] == [[]] * len(viewers)
        for viewer in viewers:
            told = [event.data["sampled"] for event in viewer.events if event.name == "comments" and "sampled" in event.data]
            left_out = sum(each["of"] - each["shown"] for each in told)
            assert left_out > 0
            assert len(viewer.seqs) == said - left_out


async def test_a_backlog_beyond_its_bound_is_told_by_cohorts(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that is shown whole leaves comments out while too much waits, says so, and is whole again afterwards."""
    monkeypatch.setattr("gateway.fanout.windower.MOST_WAITING", 150_000)
    before = metrics.REGISTRY.get_sample_value("ovation_windows_shed_total") or 0.0
    settings = load({"OVATION_POLICY": "0:0:1:1:0", "OVATION_SAMPLE_FROM": "1000000"})
    async with gateway(nats_server.url, tmp_path, settings=settings) as g:
        viewers = [await g.viewer(backfill=0, person=n, gzip=n % 2 == 0).open() for n in range(8)]
        said = 0
        async with asyncio.timeout(PATIENCE_S):
            while not _audience(g).windower.shedding:
                await _say_many(g, said + 1, 200)
                said += 200
        await eventually(lambda: not _audience(g).windower.dirty)
        last = (await _say_many(g, said + 1, 1))[-1].seq
        for viewer in viewers:
            await viewer.until(lambda v: v.last_id == last)

        assert [viewer.faults + viewer.gaps for viewer in viewers] == [[]] * len(viewers)
        assert len({tuple(viewer.seqs) for viewer in viewers}) > 1
        for viewer in viewers:
            told = [event.data["sampled"] for event in viewer.events if event.name == "comments" and "sampled" in event.data]
            assert len(viewer.seqs) == said + 1 - sum(each["of"] - each["shown"] for each in told)
            assert "sampled" not in [event.data for event in viewer.events if event.name == "comments"][-1]
        assert (metrics.REGISTRY.get_sample_value("ovation_windows_shed_total") or 0.0) > before
