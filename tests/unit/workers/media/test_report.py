"""The stream's record follows the video, as long as the stream is this worker's."""

import asyncio

import pytest

from tests.encoders import STREAM, MemoryRegistry
from tests.waits import eventually
from workers.media import report
from workers.media.report import Report


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_FIRST_S", 0.01)


async def test_a_worker_that_was_paused_tells_nothing_of_what_another_one_has() -> None:
    """It would call a video interrupted that is live elsewhere."""
    registry = MemoryRegistry()
    asked = []

    def owned() -> bool:
        asked.append(True)
        return False

    told = Report(registry, STREAM, owned)
    told.tell("interrupted", [])
    await eventually(lambda: len(asked) > 2)
    told.forget()
    await asyncio.wait_for(told.settled(), 30)
    assert registry.states == []


async def test_what_happened_while_nobody_knew_whose_it_is_is_told_after_that() -> None:
    """The broker was away for longer than a lease lasts, and nobody has taken the stream."""
    registry = MemoryRegistry()
    answers = iter([False, False, True])
    told = Report(registry, STREAM, lambda: next(answers))
    told.tell("interrupted", [])
    await asyncio.wait_for(told.settled(), 30)
    assert registry.states == [("interrupted", ())]
