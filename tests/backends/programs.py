"""The programs tests run beside nats-server: found the way the product or `./just` finds them, and never optional."""

import os
import shutil
import subprocess
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


def described(program: str | None, *arguments: str, missing: str = "MISSING") -> str:
    """First line of what *program* says about itself, and its path; *missing* when there is none."""
    if program is None or not Path(program).exists():
        return missing
    answer = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=20)
    first = (answer.stdout or answer.stderr).strip().partition("\n")[0]
    return f"{first.partition(' Copyright')[0]} ({program})"
