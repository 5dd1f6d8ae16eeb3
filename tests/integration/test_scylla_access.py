"""A cluster that asks for TLS, a certificate and a login: the right ones work, each wrong one is told with the next step."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from infra.errors import BadSettings, Unavailable
from infra.scylla import Address, Database, ScyllaComments, migrate
from infra.scylla.cluster import cluster_of
from infra.scylla.database import connected
from infra.settings import Settings
from tests.backends.cassandra import CqlServer
from tests.backends.securednode import SecuredNode
from tests.certificates import Pair
from tests.contract.histories import LOG, S, logged
from tests.factories import comment

#: What each refusal must say: the cause, and the setting to change.
LOGIN = "OVATION_STORE_USER and OVATION_STORE_PASSWORD"
CLIENT = "OVATION_STORE_CERTIFICATE_FILE"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredNode]:
    """One for all of these: 10 s and 540 MB."""
    node = SecuredNode(tmp_path_factory.mktemp("secured"))
    try:
        node.start()
        yield node
    finally:
        node.kill()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate that nobody here trusts."""
    return Pair(tmp_path_factory.mktemp("stranger"))


async def refused(address: Address) -> str:
    """What is told to somebody who opens the store, who must not come in."""
    with pytest.raises(Unavailable) as told:
        await Database.open(address)
    assert address.password not in str(told.value) or not address.password
    return str(told.value)


async def test_the_right_login_over_tls_works(node: SecuredNode) -> None:
    """Migrated, written, read: all of it through a connection that is encrypted and known on both sides."""
    await migrate(node.address)
    database = await Database.open(node.address)
    store = ScyllaComments(database)
    await store.write([logged(comment(1), 1)], {LOG: 1})

    assert (await store.total(S), await store.archived_through(LOG)) == (1, 1)
    await database.close()


async def test_a_wrong_password_is_told(node: SecuredNode) -> None:
    """The cluster is there, and the login is wrong: both settings are named, and the password is not said."""
    words = await refused(msgspec.structs.replace(node.address, password="guessed-wrong"))
    assert f"refuses the login: check {LOGIN}" in words


async def test_a_missing_login_is_told(node: SecuredNode) -> None:
    """Nobody has named a user."""
    assert f"asks for a login: set {LOGIN}" in await refused(msgspec.structs.replace(node.address, user="", password=""))


@pytest.mark.parametrize("whose", ["a stranger's authority", "those of this machine"])
async def test_an_untrusted_certificate_is_told(node: SecuredNode, stranger: Pair, whose: str) -> None:
    """The cluster's certificate is signed by none of the trusted authorities: no login is sent to it."""
    ca_file = str(stranger.certificate) if whose.startswith("a stranger") else ""
    words = await refused(msgspec.structs.replace(node.address, ca_file=ca_file))
    assert "not trusted (self-signed certificate): set OVATION_STORE_CA_FILE" in words


async def test_plain_against_tls_is_told(node: SecuredNode) -> None:
    """It hangs up without a word; the words name the settings that make us speak TLS."""
    words = await refused(msgspec.structs.replace(node.address, tls=False))
    assert "if it asks for TLS, set OVATION_STORE_CA_FILE or OVATION_STORE_TLS=true" in words


async def test_a_certificate_of_ours_that_is_missing_or_strange_is_told(node: SecuredNode, stranger: Pair) -> None:
    """The cluster asks who we are: without an answer, or with one it does not trust, the setting is named."""
    assert CLIENT in await refused(msgspec.structs.replace(node.address, certificate_file="", key_file=""))
    assert CLIENT in await refused(msgspec.structs.replace(node.address, certificate_file=str(stranger.both), key_file=""))


def test_tls_against_plain_is_told(cql_server: CqlServer, stranger: Pair) -> None:
    """The other way round: the cluster speaks no TLS on that port."""
    address = Address(hosts=(cql_server.host,), port=cql_server.port, keyspace="k", tls=True, ca_file=str(stranger.certificate))
    cluster = cluster_of(address)
    try:
        with pytest.raises(Unavailable, match="OVATION_STORE_TLS") as told:
            connected(cluster, address)
    finally:
        cluster.shutdown()
    assert "TLS" in str(told.value)


def test_everybodys_authorities_vouch_for_a_name_only(stranger: Pair) -> None:
    """With an authority of one's own every node it signed is ours; with the machine's, anybody has one: names count."""
    own = Address(hosts=("h",), keyspace="k", tls=True, ca_file=str(stranger.certificate)).ssl_context()
    machines = Address(hosts=("h",), keyspace="k", tls=True).ssl_context()

    assert own is not None
    assert machines is not None
    assert (own.check_hostname, machines.check_hostname) == (False, True)


def test_the_settings_say_all_of_it(node: SecuredNode) -> None:
    """What the tests above connect with is what the settings make, and no text of it shows the password."""
    settings = Settings(
        store_url=f"scylla://{node.host}:{node.port}/secured?create_keyspace=true&replication=1",
        store_user=node.address.user,
        store_password="hidden-word",
        store_ca_file=node.address.ca_file,
        store_certificate_file=node.address.certificate_file,
        store_key_file=node.address.key_file,
    )
    made = Address.of(settings)
    assert made == msgspec.structs.replace(node.address, password="hidden-word")
    assert "hidden-word" not in f"{made} {made!r}"


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    """Found before anything is connected."""
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(BadSettings, match="OVATION_STORE_CA_FILE"):
        Address(hosts=("h",), keyspace="k", tls=True, ca_file=str(empty)).ssl_context()
