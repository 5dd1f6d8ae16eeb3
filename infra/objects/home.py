"""The home that OVATION_MEDIA_URL names."""

import re

from infra.errors import BadSettings
from infra.objects.contract import ObjectStore
from infra.objects.folder import Folder
from infra.objects.measured import Measured
from infra.objects.names import is_name
from infra.settings import PREFIX, Settings

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


def open_home(settings: Settings) -> ObjectStore:
    """The home of recordings and pictures. Nothing is asked of it yet: it may come later than we do.

    Raises:
        BadSettings: OVATION_MEDIA_URL or one of OVATION_S3_* is wrong; names it.
    """
    if settings.media_url.startswith("s3://"):
        return Measured(_s3(settings))
    return Measured(Folder(settings.media_path()))


def open_folder(settings: Settings) -> ObjectStore:
    """The files of live video, which stay on this machine.

    Raises:
        BadSettings: OVATION_MEDIA_URL is wrong.
    """
    return Folder(settings.media_path())


def _s3(settings: Settings) -> ObjectStore:
    # Imported here: most machines have a folder.
    from infra.objects.s3 import S3, Access  # noqa: PLC0415

    bucket, _, prefix = settings.media_url.removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.fullmatch(bucket) or (prefix and not is_name(prefix)):
        # The value is not repeated: people write keys into such addresses.
        msg = f"{PREFIX}MEDIA_URL: expected s3://bucket/prefix in plain letters, digits and -, and keys in {PREFIX}S3_*"
        raise BadSettings(msg)
    endpoint = settings.s3_endpoint.rstrip("/")
    if endpoint and not _ENDPOINT.fullmatch(endpoint):
        msg = f"{PREFIX}S3_ENDPOINT: expected https://host:port, nothing before and nothing after it"
        raise BadSettings(msg)
    if bool(settings.s3_access_key_id) != bool(settings.s3_secret_access_key):
        given, missing = "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"
        if settings.s3_secret_access_key:
            given, missing = missing, given
        msg = f"{PREFIX}{given} is set: set {PREFIX}{missing} as well"
        raise BadSettings(msg)
    # No certificate of AWS's covers a host with a bucket's dots in it.
    on_host = settings.s3_addressing == "host" or (settings.s3_addressing == "auto" and not endpoint and "." not in bucket)
    access = Access(
        endpoint=endpoint,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        virtual_hosts=on_host,
    )
    return S3(access, bucket, prefix)
