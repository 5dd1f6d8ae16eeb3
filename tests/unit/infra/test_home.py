"""The home that OVATION_MEDIA_URL names: what is wrong stops the start, and no key is told."""

from pathlib import Path

import pytest

from infra.environment import load
from infra.errors import BadSettings
from infra.objects.home import open_home

SECRET = "hush-hush"
KEYS = {"OVATION_S3_ACCESS_KEY_ID": "key", "OVATION_S3_SECRET_ACCESS_KEY": SECRET}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OVATION_MEDIA_URL": "ftp://here"}, "OVATION_MEDIA_URL='ftp://here': expected file:///path or s3://bucket/prefix"),
        ({"OVATION_MEDIA_URL": "s3://"}, "OVATION_MEDIA_URL: expected s3://bucket/prefix"),
        ({"OVATION_MEDIA_URL": f"s3://key:{SECRET}@bucket/p"}, "OVATION_MEDIA_URL: expected s3://bucket/prefix"),
        ({"OVATION_MEDIA_URL": "s3://bucket/../p"}, "OVATION_MEDIA_URL: expected s3://bucket/prefix"),
        ({"OVATION_S3_ENDPOINT": "localhost:9000"}, "OVATION_S3_ENDPOINT: expected https://host:port"),
        ({"OVATION_S3_ENDPOINT": f"http://key:{SECRET}@host"}, "OVATION_S3_ENDPOINT: expected https://host:port"),
        ({"OVATION_S3_SECRET_ACCESS_KEY": ""}, "OVATION_S3_ACCESS_KEY_ID is set: set OVATION_S3_SECRET_ACCESS_KEY as well"),
        ({"OVATION_S3_ACCESS_KEY_ID": ""}, "OVATION_S3_SECRET_ACCESS_KEY is set: set OVATION_S3_ACCESS_KEY_ID as well"),
    ],
)
def test_what_is_wrong_is_named(environ: dict[str, str], said: str) -> None:
    """The variable, and what was expected."""
    with pytest.raises(BadSettings) as refusal:
        open_home(load({"OVATION_MEDIA_URL": "s3://bucket/prefix", **KEYS, **environ}))
    assert said in str(refusal.value)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://my.bucket/a/b/"])
def test_live_files_stay_here(url: str, tmp_path: Path) -> None:
    """With S3 those of live video are in the data directory; opening asks nobody anything."""
    settings = load({"OVATION_MEDIA_URL": url, "OVATION_DATA_DIR": str(tmp_path), **KEYS})
    assert settings.media_path() == tmp_path / "media"
    assert SECRET not in repr(open_home(settings))
