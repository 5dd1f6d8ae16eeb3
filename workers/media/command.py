"""The ffmpeg command line: FLV on standard input, one FLV per rendition on a descriptor of its own."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg  # type: ignore[import-untyped]  # the wheel ships no types

from infra.errors import BadSettings

#: Bits per second by height: what 30 pictures per second need to look acceptable with x264 superfast.
_RATES = {144: 200_000, 240: 400_000, 360: 800_000, 480: 1_400_000, 720: 2_800_000, 1080: 5_000_000}


def find_ffmpeg(setting: str = "") -> Path:
    """The program: what `OVATION_FFMPEG` names, else the one from the imageio-ffmpeg wheel."""
    return Path(setting or imageio_ffmpeg.get_ffmpeg_exe())


def check_ffmpeg(setting: str) -> None:
    """See that `OVATION_FFMPEG`, where it is set, names a program.

    Raises:
        BadSettings: it does not.
    """
    if setting and shutil.which(setting) is None:
        msg = f"OVATION_FFMPEG={setting!r}: there is no such program; leave it out for the one that comes with us"
        raise BadSettings(msg)


def transcode(ffmpeg: Path, outputs: Sequence[tuple[int, int]], probe: int) -> list[str]:
    """Scale to each height and encode; *outputs* are (height, descriptor), *probe* the bytes up to the first picture.

    Pictures only: sound needs no transcoding and does not pass through here. Keyframes fall where the source has them
    (`-force_key_frames source`, no scene cuts), times are the encoder's own (`-copyts`) in the demuxer's time base (1/30
    would shift pictures by up to 33 ms): so segments of all renditions begin at the same picture. `-fflags nobuffer` would
    throw the probed packets away, which is the first group of pictures.
    """
    size = ("-flags", "low_delay", "-analyzeduration", "0", "-probesize", str(probe))
    words = [str(ffmpeg), "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", *size, "-copyts"]
    words += [
        "-f",
        "flv",
        "-i",
        "pipe:0",
        "-filter_complex_threads",
        "1",
        "-filter_complex",
        _scaled([at for at, _ in outputs]),
    ]
    for height, descriptor in outputs:
        rate = str(_RATES.get(height, height * 2400))
        words += ["-map", f"[v{height}]", "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-threads", "1"]
        words += ["-pix_fmt", "yuv420p", "-b:v", rate, "-maxrate", rate, "-bufsize", rate]
        words += ["-force_key_frames", "source", "-enc_time_base:v", "demux", "-sc_threshold", "0", "-g", "600"]
        words += ["-flvflags", "no_duration_filesize", "-flush_packets", "1", "-f", "flv", f"pipe:{descriptor}"]
    return words


def _scaled(heights: Sequence[int]) -> str:
    scales = [f"scale=-2:{height}:flags=bilinear[v{height}]" for height in heights]
    if len(heights) == 1:
        return f"[0:v]{scales[0]}"
    split = f"[0:v]split={len(heights)}" + "".join(f"[s{height}]" for height in heights)
    return ";".join([split, *(f"[s{height}]{scale}" for height, scale in zip(heights, scales, strict=True))])
