"""One socket: reads, deadlines, the admission of its key, and the tags that follow.

Silences are told apart, because each is some peer's normal failure: one that connects and says nothing, one that shakes
hands and never publishes, one that publishes and stops (a laptop that was closed). What counts is never a byte but what it
completes, so that a byte now and then keeps no connection alive.
"""

from typing import Literal

from infra.errors import Unavailable
from infra.telemetry import logs, metrics
from schemas.media import About
from workers.media.flv import Tag, Unsupported
from workers.media.publisher import LOST, Leaving
from workers.media.rtmp.admission import Admission, Sink
from workers.media.rtmp.codecs import plain
from workers.media.rtmp.errors import ProtocolError, Refused
from workers.media.rtmp.guesses import Guesses
from workers.media.rtmp.keyframes import Keyframes
from workers.media.rtmp.limits import Limits
from workers.media.rtmp.meter import Meter
from workers.media.rtmp.session import MediaReceived, PublishEnded, PublishRequested, Session
from workers.media.rtmp.tls import Tls
from workers.media.rtmp.wire import Wire
from workers.media.streams import KeyRefused


class Connection:
    """A `Publisher` over RTMP. `run` returns when the connection is over."""

    def __init__(self, wire: Wire, *, admission: Admission, limits: Limits, guesses: Guesses, tls: Tls | None = None) -> None:
        self._wire = wire
        self._admission = admission
        self._limits = limits
        self._guesses = guesses
        self._tls = tls
        self._session = Session()
        self._keyframes = Keyframes(limits.keyframe_warn_s, limits.keyframe_most_s)
        self._meter = Meter(limits, wire.now())
        self._sink: Sink | None = None
        self._started = wire.now()
        self._over = False
        self._leaving = LOST
        self._log = logs.get(__name__).bind(peer=wire.address)

    @property
    def peer(self) -> str:
        """The address it came from."""
        return self._wire.address

    @property
    def encoder(self) -> str:
        """What it calls itself."""
        return self._session.encoder

    @property
    def transport(self) -> Literal["rtmp", "rtmps"]:
        """What it came over."""
        return "rtmp" if self._tls is None else "rtmps"

    def cut(self, reason: str) -> None:
        """Say why and close, at once."""
        if not self._over:
            self._leaving = Leaving("cut", reason)
            self._log.info("publisher cut", reason=reason)
            self._session.refuse(reason)
            self._finish()

    def warn(self, about: About, advice: str) -> None:
        """Say what should be set otherwise; the broadcast goes on."""
        if self._over:
            return
        self._log.warning("the encoder should be set otherwise", about=about, advice=advice)
        metrics.ENCODER_WARNINGS.labels(about).inc()
        self._session.warn(advice)
        self._flush()
        if self._sink is not None:
            self._sink.warned(self, about, advice)

    async def run(self) -> None:
        """Serve the peer until either side closes."""
        try:
            await self._serve()
        except ProtocolError as error:
            self._complain(error)
        except TimeoutError:
            if not self._over:
                self._leaving = Leaving("timed_out")
                metrics.RTMP_CLOSED.labels("silent").inc()
                self._log.info("rtmp peer silent", handshaken=self._session.handshaken, publishing=self._sink is not None)
        except OSError as error:
            self._log.debug("rtmp peer lost", error=str(error))
        finally:
            if self._sink is not None:
                metrics.PUBLISHERS.dec()
                self._sink.leave(self, self._leaving)
            self._flush()
            self._wire.close(self._limits.close_s)

    async def _serve(self) -> None:
        self._wire.until(self._started + self._limits.handshake_s)
        while data := await self._wire.read():
            # Once it is refused, what was on its way is read and dropped: closing over it would reset the connection, and
            # the peer would never read why.
            if not self._over and not await self._step(data):
                return

    async def _step(self, data: bytes) -> bool:
        """Take *data* and answer; tells whether there is anything to wait for after it."""
        try:
            await self._take(data)
        except Refused as error:
            metrics.PUBLISH_REFUSED.labels(error.reason).inc()
            self.cut(str(error))
        except Unsupported as error:
            metrics.PUBLISH_REFUSED.labels("codec").inc()
            self.cut(str(error))
        except ProtocolError as error:
            self._complain(error)
            if not self._flush():
                return False
            self._finish()
        if self._over and self._sink is not None:
            self._sink.leave(self, self._leaving)
        self._flush()
        self._wire.check()
        return self._tls is None or not self._tls.ended

    async def _take(self, data: bytes) -> None:
        if self._sink is not None:
            metrics.INGEST_BYTES.inc(len(data))
        before = self._session.messages
        said = self._tls.feed(data) if self._tls is not None else data
        for event in self._session.feed(said):
            if isinstance(event, MediaReceived):
                self._media(event)
            else:
                await self._handle(event)
            if self._over:
                return
        if self._sink is not None:
            count = self._session.messages - before
            metrics.INGEST_MESSAGES.inc(count)
            advice = self._meter.count(len(said), count, self._wire.now())
            if advice is not None:
                self.warn("bit_rate", advice)
        elif self._session.handshaken:
            self._wire.until(self._started + self._limits.publish_s)

    def _media(self, event: MediaReceived) -> None:
        now = self._wire.now()
        self._wire.until(now + self._limits.silence_s)
        tag = plain(Tag(*event), self._limits.codecs)
        if tag is None or self._sink is None:
            return
        self._meter.advance(event.timestamp, now)
        advice = self._keyframes.take(tag)
        self._sink.take(self, tag)
        # After the keyframe was taken: what comes before it may be seen with it only.
        if advice is not None:
            self.warn("keyframes", advice)

    async def _handle(self, event: PublishRequested | PublishEnded) -> None:
        if isinstance(event, PublishRequested):
            await self._admit(event.key)
            return
        if self._sink is not None:
            self._sink.leave(self, Leaving("closed"))
        self._wire.until(self._wire.now() + self._limits.close_s)

    async def _admit(self, key: str) -> None:
        self._flush()
        if not key:
            self._refuse("key", "The stream key is missing: enter it in the encoder's field for it.")
            return
        if wait := self._guesses.wait(self.peer):
            self._refuse("guesses", f"Too many wrong stream keys came from this address; try again in {wait} s.")
            return
        try:
            self._sink = await self._admission.admit(key, self)
        except KeyRefused as error:
            self._guesses.wrong(self.peer)
            self._refuse("key", str(error))
        except Unavailable as error:
            self._log.warning("stream key could not be checked", error=str(error))
            self._refuse("unavailable", "The server cannot check the stream key right now; try again.")
        else:
            metrics.PUBLISHERS.inc()
            self._session.accept()
            now = self._wire.now()
            self._meter = Meter(self._limits, now)
            self._wire.until(now + self._limits.silence_s)
            self._flush()

    def _refuse(self, reason: str, text: str) -> None:
        self._log.info("publishing refused", reason=text)
        metrics.PUBLISH_REFUSED.labels(reason).inc()
        self._session.refuse(text)
        self._finish()

    def _finish(self) -> None:
        """Nothing more is said; the peer has a moment to read it and close."""
        self._over = True
        self._flush()
        if self._tls is not None:
            self._tls.close()
            self._wire.write(self._tls.take_output())
        self._wire.end(self._limits.close_s)

    def _complain(self, error: ProtocolError) -> None:
        self._leaving = Leaving("cut", str(error))
        metrics.RTMP_CLOSED.labels("protocol").inc()
        self._log.info("rtmp peer refused", error=str(error))

    def _flush(self) -> bool:
        """Send what there is to say; tells whether it was anything."""
        out = self._session.take_output()
        if self._tls is not None:
            if out:
                self._tls.write(out)
            out = self._tls.take_output()
        self._wire.write(out)
        return bool(out)
