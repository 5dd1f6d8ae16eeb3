"""The programs tests run beside nats-server: found the way the product or `./just` finds them, and never optional."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg  # type: ignore[import-untyped]  # the wheel ships no types


def ffmpeg() -> str:
    """The FFmpeg of the wheel, which is the one Ovation uses when OVATION_FFMPEG names no other."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def chromium() -> str | None:
    """Chromium: the program that CHROMIUM names, or the one on the PATH; None when there is none."""
    return shutil.which(os.environ.get("CHROMIUM") or "chromium")


def node() -> str | None:
    """The Node on the PATH."""
    return shutil.which("node")


def nginx() -> str | None:
    """nginx: the one that NGINX names, on the PATH, or unpacked by `./just proxies`; None when there is none."""
    return _proxy("nginx")


def haproxy() -> str | None:
    """HAProxy: the one that HAPROXY names, on the PATH, or unpacked by `./just proxies`; None when there is none."""
    return _proxy("haproxy")


def gstreamer() -> str | None:
    """gst-launch-1.0: the one that GST_LAUNCH names, unpacked by `scripts/gstreamer.sh`, or on the PATH; None without."""
    path = os.pathsep.join([f"{sys.prefix}/gstreamer/bin", os.environ.get("PATH", "")])
    return shutil.which(os.environ.get("GST_LAUNCH") or "gst-launch-1.0", path=path)


def _proxy(name: str) -> str | None:
    # Debian keeps them where only root's PATH leads.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", f"{sys.prefix}/proxies/bin"])
    return shutil.which(os.environ.get(name.upper()) or name, path=path)


def described(program: str | None, *arguments: str, missing: str = "MISSING") -> str:
    """First line of what *program* says about itself, and its path; *missing* when there is none."""
    if program is None or not Path(program).exists():
        return missing
    answer = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=20)
    first = (answer.stdout or answer.stderr).strip().partition("\n")[0]
    return f"{first.partition(' Copyright')[0]} ({program})"
