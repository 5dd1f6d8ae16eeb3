"""Where a cluster is, as settings say it."""

from pathlib import Path

import pytest

from infra.environment import load
from infra.errors import BadSettings
from infra.scylla.address import Address


def address(url: str, **more: str) -> Address:
    """What the settings with this store say."""
    return Address.of(load({"OVATION_STORE_URL": url, **{f"OVATION_{name.upper()}": value for name, value in more.items()}}))


def test_a_url_names_hosts_and_keyspace() -> None:
    """As the contract writes it: hosts, keyspace, and CQL's own port."""
    found = address("scylla://host1,host2/ovation")

    assert (found.hosts, found.port, found.keyspace) == (("host1", "host2"), 9042, "ovation")
    assert (found.dc, found.create_keyspace, found.tls, found.ttl_s) == ("", False, False, 30 * 86_400)


def test_options_stand_in_the_url() -> None:
    """Data center, port, and what a migration may create."""
    found = address("scylla://[::1]:9142,b:9142/k?dc=eu&create_keyspace=true&replication=2")

    assert (found.hosts, found.port, found.dc) == (("::1", "b"), 9142, "eu")
    assert (found.create_keyspace, found.replication) == (True, 2)


def test_several_data_centers_have_their_copies() -> None:
    """Each with its own number; the one of this process is among them."""
    found = address("scylla://a/k?dc=eu&replication=eu:3,us-east_1:2")
    assert found.copies("whatever") == {"eu": 3, "us-east_1": 2}
    assert address("scylla://a/k?dc=eu&replication=2").copies("dc9") == {"eu": 2}
    assert address("scylla://a/k").copies("dc9") == {"dc9": 3}
    with pytest.raises(BadSettings, match=r"\?dc= names the data center of this process, one of eu, us"):
        address("scylla://a/k?replication=eu:3,us:3")
    with pytest.raises(BadSettings, match="one of eu"):
        address("scylla://a/k?dc=us&replication=eu:3")


def test_windows_fit_how_long_rows_are_kept() -> None:
    """Some thirty of them, of a day at least; of a month where nothing ends."""
    days = {ttl: address("scylla://a/k", store_ttl_days=str(ttl)).window_days for ttl in (0, 1, 30, 90, 365)}
    assert days == {0: 30, 1: 1, 30: 1, 90: 3, 365: 12}


def test_contact_points_stand_in_for_the_urls_hosts() -> None:
    """So that one URL may be used in several places."""
    assert address("scylla://here/k", scylla_contact_points="a:1,b:1").hosts == ("a", "b")
    assert address("scylla:///k", scylla_contact_points="a").hosts == ("a",)


@pytest.mark.parametrize(
    "url",
    ["scylla:///k", "scylla://a", "scylla://a/", "scylla://a/k;drop", "scylla://a/k?what=1", "scylla://a/k?replication=0",
     "scylla://a/k?dc=eu&replication=eu:0", "scylla://a/k?dc=eu&replication=eu:3,eu:2", "scylla://a/k?dc=e'u&replication=e'u:1",
     "scylla://a:1,b:2/k", "scylla://a:99999/k", "scylla://me:secret@a/k"],
)  # fmt: skip
def test_what_is_wrong_stops_the_start(url: str) -> None:
    """It is named, and a password in it is not repeated."""
    with pytest.raises(BadSettings) as refused:
        address(url)

    assert "STORE" in str(refused.value) or "hosts of the store" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_password_is_never_shown() -> None:
    """Neither in words nor in a debugger's."""
    found = address("scylla://a/k", store_user="me", store_password="open sesame")

    assert found.password == "open sesame"
    assert "sesame" not in f"{found} {found!r}"


def test_tls_needs_files_that_are_there(tmp_path: Path) -> None:
    """A file means TLS; one that cannot be read stops the start, and certificates are checked."""
    found = address("scylla://a/k", store_ca_file=str(tmp_path / "none.pem"))
    assert found.tls
    with pytest.raises(BadSettings, match="OVATION_STORE_CA_FILE"):
        found.ssl_context()

    context = address("scylla://a/k", store_tls="true").ssl_context()
    assert context is not None
    assert context.verify_mode.name == "CERT_REQUIRED"
