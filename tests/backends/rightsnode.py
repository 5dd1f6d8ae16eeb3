"""An Apache Cassandra with users and their rights: one who may write, until that is taken away."""

import asyncio
import contextlib
import subprocess
import time
from typing import Any

from cassandra.cluster import Session

from infra.errors import Unavailable
from infra.scylla import Address, migrate
from infra.scylla.cluster import cluster_of
from infra.scylla.database import connected
from tests.backends.cassandranode import START_S, CassandraNode

#: The user every Cassandra is born with; it is made a moment after the port is open.
SUPERUSER = "cassandra"
PASSWORD = "ovation"
TRIES = 20
RIGHTS = """authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
permissions_validity: 500ms
"""


class RightsNode(CassandraNode):
    """One node. Its statements run as the superuser."""

    def address(self, keyspace: str, user: str = SUPERUSER) -> Address:
        """How *user* reaches *keyspace*."""
        password = SUPERUSER if user == SUPERUSER else PASSWORD
        return Address(
            hosts=(self.host,),
            port=self.port,
            keyspace=keyspace,
            create_keyspace=True,
            replication=1,
            user=user,
            password=password,
        )

    def run(self, *statements: str) -> None:
        """Run CQL; a node that is busy is asked again."""
        for left in reversed(range(TRIES)):
            try:
                self._run(*statements)
            except Unavailable:
                if not left:
                    raise
            else:
                break

    def _run(self, *statements: str) -> None:
        address = self.address("system")
        cluster = cluster_of(address)
        try:
            session: Session = connected(cluster, address)
            for each in statements:
                session.execute(each, timeout=30)
        finally:
            cluster.shutdown()

    def let_in(self, user: str, keyspace: str) -> None:
        """Make *keyspace* with this version's tables, and *user*, who may read and write it."""
        asyncio.run(migrate(self.address(keyspace)))
        self.run(f"CREATE ROLE IF NOT EXISTS {user} WITH PASSWORD = '{PASSWORD}' AND LOGIN = true")
        self.run(f"GRANT SELECT ON KEYSPACE {keyspace} TO {user}")
        self.grant(user, keyspace)

    def grant(self, user: str, keyspace: str) -> None:
        """Let *user* write."""
        self.run(f"GRANT MODIFY ON KEYSPACE {keyspace} TO {user}")

    def revoke(self, user: str, keyspace: str) -> None:
        """Let *user* read alone, half a second from now."""
        self.run(f"REVOKE MODIFY ON KEYSPACE {keyspace} FROM {user}")

    def _configure(self) -> None:
        super()._configure()
        with (self.folder / "cassandra.yaml").open("a") as yaml:
            yaml.write(RIGHTS)

    def _await_answer(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_S
        words: Any = ""
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self._run()
            except Unavailable as error:
                words = error
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.2)
            else:
                return
        msg = f"Cassandra lets nobody in ({words}):\n{self._words()}"
        self.kill()
        raise AssertionError(msg)
