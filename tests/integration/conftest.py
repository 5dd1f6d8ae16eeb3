"""The loop that tests of this folder run on."""

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The processes' own. They differ: uvloop reads a connection that was paused in `connection_made`, asyncio's does not."""
    return {"uvloop": uvloop.new_event_loop}
