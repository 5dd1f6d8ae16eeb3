"""The ffmpeg command lines: FLV on standard input, fragmented MP4 on standard output.

Both keep the encoder's own timestamps (`-copyts`, and `cmaf+frag_discont`, without which ffmpeg counts each track from
0 and loses the offset between sound and picture), so segments of all renditions and restarts lie on one clock.
"""

from pathlib import Path

import imageio_ffmpeg  # type: ignore[import-untyped]  # the wheel ships no types

#: Bytes ffmpeg may read before it knows its input, where sound and picture are announced: it stops when it saw both.
PROBE = 1_000_000
_MAPS = ("-map", "0:v?", "-map", "0:a?")
_OUTPUT = (
    *("-f", "mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof+cmaf+frag_discont"),
    *("-frag_duration", "500000", "-flush_packets", "1", "pipe:1"),
)

#: Heights a source is transcoded to when it is not above the wanted one itself.
_LOWER = (360, 240, 144)
#: Bits per second by height: what 30 pictures per second need to look acceptable with x264 superfast.
_RATES = {144: 200_000, 240: 400_000, 360: 800_000, 480: 1_400_000, 720: 2_800_000, 1080: 5_000_000}


def find_ffmpeg(setting: str = "") -> Path:
    """The program: what `OVATION_FFMPEG` names, else the one from the imageio-ffmpeg wheel."""
    return Path(setting or imageio_ffmpeg.get_ffmpeg_exe())


def _input(probe: int) -> tuple[str, ...]:
    # `-fflags nobuffer` would throw the probed packets away, which is the first second of the stream.
    size = ("-flags", "low_delay", "-analyzeduration", "0", "-probesize", str(probe))
    return (*size, "-copyts", "-f", "flv", "-i", "pipe:0")


def passthrough(ffmpeg: Path, probe: int = PROBE) -> list[str]:
    """Repackage only."""
    quiet = ("-nostdin", "-hide_banner", "-loglevel", "error")
    return [str(ffmpeg), *quiet, *_input(probe), *_MAPS, "-c", "copy", *_OUTPUT]


def rung_height(source: int, wanted: int) -> int | None:
    """The height of the transcoded rendition for a source of *source* lines; `None` when none makes sense."""
    if not wanted or not source:
        return None
    if wanted < source:
        return wanted
    return next((height for height in _LOWER if height < source), None)


def transcode(ffmpeg: Path, height: int, probe: int = PROBE) -> list[str]:
    """Scale to *height* and encode; sound is copied.

    Keyframes fall where the source has them (`-force_key_frames source`, no scene cuts), and the encoder's time base is
    the demuxer's (1/30 would shift pictures by up to 33 ms): so segments of both renditions begin at the same picture.
    """
    rate = str(_RATES.get(height, height * 2400))
    return [
        *(str(ffmpeg), "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", *_input(probe), *_MAPS),
        *("-c:a", "copy", "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-threads", "1"),
        *("-vf", f"scale=-2:{height}:flags=bilinear", "-pix_fmt", "yuv420p"),
        *("-b:v", rate, "-maxrate", rate, "-bufsize", rate),
        *("-force_key_frames", "source", "-enc_time_base:v", "demux", "-sc_threshold", "0", "-g", "600", *_OUTPUT),
    ]
