"""Settings: read once, frozen; whatever is wrong is named."""

from pathlib import Path

import pytest

from infra.environment import load
from infra.errors import BadSettings
from infra.limit import Limit


def test_defaults_and_values() -> None:
    """Every variable has a default; a value is of its field's type. Other variables are not ours."""
    settings = load({"OVATION_HTTP_PORT": "81", "OVATION_LIMIT_USER": "3/4", "OVATION_GUESTS": "false", "PATH": "/bin"})

    assert (81, Limit(3, 4), False) == (settings.http_port, settings.limit_user, settings.guests)
    assert Path(".ovation/store/ovation.sqlite") == settings.store_path()


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("OVATION_HTP_PORT", "1", "did you mean OVATION_HTTP_PORT"),
        ("OVATION_HTTP_PORT", "x", "OVATION_HTTP_PORT='x'"),
        ("OVATION_HTTP_PORT", "70000", "OVATION_HTTP_PORT='70000'"),
        ("OVATION_LIMIT_USER", "3", "expected count/seconds"),
        ("OVATION_LIMIT_USER", "0/5", "expected count/seconds"),
        ("OVATION_REPLICAS", "2", "OVATION_REPLICAS='2'"),
        ("OVATION_CREATORS", "nobody", "OVATION_CREATORS='nobody'"),
        ("OVATION_GATEWAYS", "0", "OVATION_GATEWAYS='0'"),
        ("OVATION_TRUSTED_PROXIES", "10.0.0.1/8", "OVATION_TRUSTED_PROXIES='10.0.0.1/8'"),
        ("OVATION_TRUSTED_PROXIES", "proxy.example", "OVATION_TRUSTED_PROXIES='proxy.example'"),
        ("OVATION_PROXY_PROTOCOL", "optional", "set OVATION_TRUSTED_PROXIES"),
        ("OVATION_PUBLIC_URL", "foo", "OVATION_PUBLIC_URL='foo': expected http://host or https://host"),
        ("OVATION_PUBLIC_URL", "//live.example", "OVATION_PUBLIC_URL"),
        ("OVATION_PUBLIC_URL", "https://live.example/?x=1", "OVATION_PUBLIC_URL"),
        ("OVATION_RTMPS_KEY_FILE", "key.pem", "set OVATION_RTMPS_CERTIFICATE_FILE"),
        ("OVATION_LIMIT_BAD_KEYS", "ten", "OVATION_LIMIT_BAD_KEYS='ten': expected count/seconds"),
        ("OVATION_PUBLISH_MAX_MBIT", "0", "OVATION_PUBLISH_MAX_MBIT='0'"),
        ("OVATION_KEYFRAME_MAX_S", "11", "OVATION_KEYFRAME_MAX_S='11'"),
        ("OVATION_DRAIN_S", "inf", "OVATION_DRAIN_S='inf'"),
        ("OVATION_GUEST_TTL_H", "inf", "OVATION_GUEST_TTL_H='inf'"),
        ("OVATION_RING_S", "nan", "OVATION_RING_S='nan'"),
        ("OVATION_HTTP_HOST", "", "OVATION_HTTP_HOST is empty: .* 127.0.0.1"),
        ("OVATION_OPS_HOST", " ", "OVATION_OPS_HOST is empty"),
        ("OVATION_RTMP_HOST", ",", "OVATION_RTMP_HOST is empty"),
        ("OVATION_DATA_DIR", "", "OVATION_DATA_DIR is empty: .* .ovation"),
        ("OVATION_PUBLIC_URL", "http://[", "OVATION_PUBLIC_URL='http://\\['"),
        ("OVATION_PUBLIC_URL", "http://live.example:99999", "OVATION_PUBLIC_URL"),
        ("OVATION_ORIGIN_URL", "worker:9600", "OVATION_ORIGIN_URL='worker:9600': expected http://host:port"),
        ("OVATION_NATS_URL", "nats://[::1", "OVATION_NATS_URL: expected nats://host:port"),
        ("OVATION_NATS_URL", ",", "OVATION_NATS_URL: expected nats://host:port"),
        ("OVATION_NATS_URL", "nats://one:4222,nats://two:99999", "OVATION_NATS_URL: expected nats://host:port"),
        ("ovation_http_port", "1", ""),
    ],
)
def test_what_is_wrong_is_named(variable: str, value: str, says: str) -> None:
    """The variable, what it was, and what was expected; only the exact prefix is ours."""
    if not says:
        assert load({variable: value}) == load({})
        return
    with pytest.raises(BadSettings, match=says):
        load({variable: value})


def test_the_public_address_ends_without_a_slash() -> None:
    """With or without one, links do not get two; a port and a path may be part of it."""
    for written in ("https://live.example:8443/ovation", "https://live.example:8443/ovation/"):
        assert load({"OVATION_PUBLIC_URL": written}).public_url == "https://live.example:8443/ovation"


def test_trusted_proxies_are_networks() -> None:
    """Of both kinds, and single addresses; nobody by default; what is no address is in none of them."""
    trusted = load({"OVATION_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1,fd00::/8"}).trusted_proxies

    for address in ("10.255.0.1", "192.0.2.1", "fd00::1", "::ffff:10.0.0.1"):
        assert address in trusted
    for address in ("11.0.0.1", "192.0.2.2", "fe80::1", "", "localhost"):
        assert address not in trusted
    assert str(trusted) == "10.0.0.0/8,192.0.2.1/32,fd00::/8"
    assert not load({}).trusted_proxies


@pytest.mark.parametrize(("url", "path"), [("sqlite:///data/x.db", "/data/x.db"), ("sqlite:////data/x.db", "/data/x.db")])
def test_a_store_is_named_by_its_path(url: str, path: str) -> None:
    """Three slashes or four."""
    assert Path(path) == load({"OVATION_STORE_URL": url}).store_path()


def test_a_store_this_version_does_not_have_is_refused() -> None:
    """Names the variable and what would do."""
    with pytest.raises(BadSettings, match="OVATION_STORE_URL"):
        load({"OVATION_STORE_URL": "scylla://host/keyspace"}).store_path()
