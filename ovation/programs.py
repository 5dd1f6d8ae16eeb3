"""The programs that come with the package: nats-server and ffmpeg, from their wheels."""

import sys
from pathlib import Path

#: Beside the interpreter, where the wheel installs it.
NATS_SERVER = Path(sys.executable).with_name("nats-server")


def bundled_ffmpeg() -> str:
    """The ffmpeg of the wheel.

    Raises:
        RuntimeError: the wheel has none for this machine; set OVATION_FFMPEG.
    """
    from imageio_ffmpeg import get_ffmpeg_exe  # type: ignore[import-untyped]  # noqa: PLC0415 - a slow import

    return str(get_ffmpeg_exe())
