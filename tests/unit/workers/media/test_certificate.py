"""Certificates that are wrong stop the start; those that are renewed are used without one."""

import os
from pathlib import Path

import pytest

from infra.clock import HandClock, SystemClock
from infra.errors import BadSettings
from tests.certificates import Pair
from workers.media.rtmp.certificate import Certificate

CERTIFICATE, KEY = "OVATION_RTMPS_CERTIFICATE_FILE", "OVATION_RTMPS_KEY_FILE"


def read(certificate: Path, key: Path | None = None) -> Certificate:
    """As the settings would name them."""
    return Certificate.read(str(certificate), str(key or ""), SystemClock())


def test_two_files_or_one(tmp_path: Path) -> None:
    """The key may stand behind the certificate."""
    pair = Pair(tmp_path)
    assert read(pair.certificate, pair.key).context
    assert read(pair.both).context


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    """The variable, the file and what is the matter; a password is never asked for on the terminal."""
    pair, other = Pair(tmp_path / "a"), Pair(tmp_path / "b")
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no PEM")
    wrong = [
        (tmp_path / "absent.pem", pair.key, CERTIFICATE, "No such file"),
        (rubbish, pair.key, CERTIFICATE, "rubbish"),
        (tmp_path, pair.key, CERTIFICATE, "directory"),
        (pair.certificate, None, CERTIFICATE, "key"),
        (pair.certificate, tmp_path / "absent.pem", KEY, "no such file"),
        (pair.certificate, rubbish, KEY, "key"),
        (pair.certificate, other.key, KEY, "belongs"),
        (Pair(tmp_path / "c", password=b"secret").both, None, CERTIFICATE, "unencrypted"),
        (Pair(tmp_path / "d", days=-1).both, None, CERTIFICATE, "expired"),
    ]
    for certificate, key, variable, cause in wrong:
        with pytest.raises(BadSettings, match=cause) as refusal:
            read(certificate, key)
        assert str(refusal.value).startswith(variable)


def test_expiry_is_by_the_clock(tmp_path: Path) -> None:
    """What is good today is not next year."""
    clock = HandClock(SystemClock().now_ms())
    pair = Pair(tmp_path, days=30)
    assert Certificate.read(str(pair.both), "", clock)
    clock.advance(31 * 86_400)
    with pytest.raises(BadSettings, match="expired"):
        Certificate.read(str(pair.both), "", clock)


def test_a_renewed_certificate_is_taken_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    """New files are used when they belong together; until then, and after a mistake, the old ones go on."""
    pair = Pair(tmp_path)
    certificate = read(pair.certificate, pair.key)
    assert not certificate.renew()
    fresh = Pair(tmp_path / "new")
    os.replace(fresh.certificate, pair.certificate)  # noqa: PTH105 - as certificate tools do
    assert not certificate.renew()
    os.replace(fresh.key, pair.key)  # noqa: PTH105 - as above
    assert certificate.renew()
    pair.key.unlink()
    assert not certificate.renew()
