"""What a log has of one stream is erased; what it knows of everybody else's Msg-Ids stays.

A server that erases a log's last message forgets the log's whole duplicate window (architecture rule 7), and a repetition of
anybody's write would then be a second one. So the last message of a log is never erased here.
"""

import json

from infra.errors import Unavailable
from infra.jetstream.connection import Connection
from infra.jetstream.reader import Reader


class Eraser:
    """Purges by subject."""

    def __init__(self, connection: Connection, reader: Reader) -> None:
        self._connection = connection
        self._reader = reader

    async def erase(self, log: str, subject: str, before: int | None = None) -> None:
        """Erase all of *subject* (wildcards are allowed) with a lower seq than *before*, but for the log's last message.

        Raises:
            Unavailable: not known to be done; the same again is safe.
        """
        last = (await self._reader.state(log)).last
        # Up to, not including: nats-server's own rule.
        body = {"filter": subject, "seq": max(1, min(last, before or last))}
        reply = await self._connection.request(f"$JS.API.STREAM.PURGE.{log}", json.dumps(body).encode(), timeout_s=10.0)
        error = json.loads(reply.data).get("error")
        if error is not None:
            msg = f"{log} was not purged of {subject}: {error.get('description', error)}"
            raise Unavailable(msg)
