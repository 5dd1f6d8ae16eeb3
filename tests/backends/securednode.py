"""An Apache Cassandra that asks for TLS and for a login: certificates made on the spot, users kept in its own tables."""

import contextlib
import subprocess
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

from infra.errors import Unavailable
from infra.scylla import Address
from infra.scylla.cluster import cluster_of
from infra.scylla.database import connected
from tests.backends.cassandranode import START_S, CassandraNode
from tests.certificates import Pair

#: The user every Cassandra is born with; it is made a moment after the port is open.
USER = PASSWORD = "cassandra"
#: Of the stores of keys; Java opens none without one.
STORE_PASSWORD = "changeit"

SECURED = """authenticator: PasswordAuthenticator
client_encryption_options:
  enabled: true
  optional: false
  keystore: {keystore}
  keystore_password: {password}
  truststore: {truststore}
  truststore_password: {password}
  store_type: PKCS12
  require_client_auth: true
"""


class SecuredNode(CassandraNode):
    """One node that takes TLS alone, from clients that show the certificate `clients` and log in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pair, self.clients = Pair(folder / "server"), Pair(folder / "client")

    @property
    def address(self) -> Address:
        """How it is reached by those who may."""
        return Address(
            hosts=(self.host,),
            port=self.port,
            keyspace="secured",
            create_keyspace=True,
            replication=1,
            user=USER,
            password=PASSWORD,
            tls=True,
            ca_file=str(self.pair.certificate),
            certificate_file=str(self.clients.certificate),
            key_file=str(self.clients.key),
        )

    def _configure(self) -> None:
        super()._configure()
        locked = BestAvailableEncryption(STORE_PASSWORD.encode())
        key = load_pem_private_key(self.pair.key.read_bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        keystore, truststore = self.folder / "keys.p12", self.folder / "trusted.p12"
        keystore.write_bytes(pkcs12.serialize_key_and_certificates(b"node", key, _read(self.pair), None, locked))
        trusted = [pkcs12.PKCS12Certificate(_read(self.clients), b"client")]
        truststore.write_bytes(pkcs12.serialize_java_truststore(trusted, locked))
        with (self.folder / "cassandra.yaml").open("a") as yaml:
            yaml.write(SECURED.format(keystore=keystore, truststore=truststore, password=STORE_PASSWORD))

    def _await_answer(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_S
        words = ""
        while time.monotonic() < deadline and self.process.poll() is None:
            cluster = cluster_of(self.address)
            try:
                connected(cluster, self.address)
            except Unavailable as error:
                words = str(error)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.2)
            else:
                return
            finally:
                cluster.shutdown()
        msg = f"Cassandra lets nobody in ({words}):\n{self._words()}"
        self.kill()
        raise AssertionError(msg)


def _read(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())
