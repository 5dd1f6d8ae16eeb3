"""The home that OVATION_MEDIA_URL names."""

from infra.objects.contract import ObjectStore
from infra.objects.folder import Folder
from infra.settings import Settings


def open_home(settings: Settings) -> ObjectStore:
    """Nothing is asked of it yet.

    Raises:
        BadSettings: OVATION_MEDIA_URL is of no kind this version has.
    """
    return Folder(settings.media_path())
