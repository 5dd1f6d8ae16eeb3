"""Certificates made on the spot, as PEM files."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Pair:
    """A self-signed certificate for `localhost` and its key, each in a file, and both in one."""

    def __init__(self, folder: Path, *, days: float = 30.0, password: bytes | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key, self.both = folder / "cert.pem", folder / "key.pem", folder / "both.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.serial = made.serial_number
        locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
        public = made.public_bytes(serialization.Encoding.PEM)
        self.certificate.write_bytes(public)
        self.key.write_bytes(private)
        self.both.write_bytes(public + private)

    def trusted(self) -> ssl.SSLContext:
        """A client's context that trusts this certificate and nothing else."""
        return ssl.create_default_context(cafile=str(self.certificate))
