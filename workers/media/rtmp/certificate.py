"""The certificate of RTMPS: read at the start, and read again when its files change, as they do every few weeks."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryptography import x509

from infra.clock import Clock
from infra.errors import BadSettings
from infra.telemetry import logs

_CERTIFICATE, _KEY = "OVATION_RTMPS_CERTIFICATE_FILE", "OVATION_RTMPS_KEY_FILE"
RENEW_S = 60.0


class Certificate:
    """A TLS context whose certificate is renewed in place: connections made from then on get the new one."""

    def __init__(self, certificate: Path, key: Path, clock: Clock) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._stamp = self._changed_at()
        self._log = logs.get(__name__)
        self.context = self._load(_context())

    @classmethod
    def read(cls, certificate: str, key: str, clock: Clock) -> Self:
        """Read the PEM files: the chain, and its key, which may stand in the same file (*key* empty).

        Raises:
            BadSettings: a file cannot be read, is none, has expired, or the two do not belong together; names the variable.
        """
        return cls(Path(certificate), Path(key or certificate), clock)

    async def follow(self) -> None:
        """Read the files again whenever they change, for ever; files that are wrong leave the old ones in use."""
        while True:
            await asyncio.sleep(RENEW_S)
            await asyncio.to_thread(self.renew)

    def renew(self) -> bool:
        """Read the files again if they have changed; tells whether new ones are in use."""
        stamp = self._changed_at()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            # First into a context of its own: a key that does not belong would leave the one in use without any.
            self._load(_context())
            self._load(self.context)
        except BadSettings as error:
            self._log.error("the new certificate is not used; the old one goes on", error=str(error))
            return False
        self._log.info("new certificate for RTMPS", file=str(self._certificate))
        return True

    def _changed_at(self) -> tuple[int, ...]:
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (self._certificate, self._key))

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        self._check()
        if not self._key.is_file():
            raise _bad(_KEY, self._key, "no such file")
        try:
            # Without a password of ours OpenSSL would ask for one on the terminal and wait.
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except (OSError, ValueError) as error:
            variable = _CERTIFICATE if self._key == self._certificate else _KEY
            raise _bad(variable, self._key, f"no unencrypted key that belongs to the certificate ({error})") from error
        return context

    def _check(self) -> None:
        try:
            first = x509.load_pem_x509_certificates(self._certificate.read_bytes())[0]
        except (OSError, ValueError) as error:
            raise _bad(_CERTIFICATE, self._certificate, str(error)) from error
        expires = first.not_valid_after_utc
        if expires <= datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC):
            raise _bad(_CERTIFICATE, self._certificate, f"expired on {expires:%Y-%m-%d}; renew it")


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _bad(variable: str, path: Path, cause: str) -> BadSettings:
    return BadSettings(f"{variable}={str(path)!r}: {cause}")
