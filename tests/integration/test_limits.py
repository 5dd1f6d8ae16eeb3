"""The limiter when it cannot answer: nobody passes."""

import pytest

from infra.errors import Unavailable
from infra.settings import Limit
from tests.backends.nats import NatsServer
from tests.broker import broker
from tests.waits import eventually

pytestmark = pytest.mark.nats


async def test_a_limiter_that_cannot_answer_lets_nobody_pass(own_nats_server: NatsServer) -> None:
    """With the broker away, and with its log missing, taking a token ends with Unavailable."""
    async with broker(own_nats_server.url, wait_s=1.0) as b:
        await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), "k0")
        await b.connection.request("$JS.API.STREAM.DELETE.LIMITS_user_stream")
        with pytest.raises(Unavailable):
            await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), "k1")

        own_nats_server.kill()
        await eventually(lambda: not b.connection.up.is_set())
        with pytest.raises(Unavailable):
            await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), "k2")


async def test_windows_outlive_the_broker(own_nats_server: NatsServer) -> None:
    """Tokens are kept through a crash: the window does not begin anew."""
    async with broker(own_nats_server.url) as b:
        for n in range(5):
            await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), f"k{n}")
        own_nats_server.kill()
        own_nats_server.start()
        await eventually(b.connection.up.is_set)
        with pytest.raises(Exception, match="limit user_stream reached"):
            await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), "k9")
