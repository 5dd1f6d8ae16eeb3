#!/bin/sh
# GStreamer, for the tests of encoders that are not FFmpeg: there already, or Debian's packages, unpacked into .venv/gstreamer.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
into=$root/.venv/gstreamer

complete() {
    for element in rtmp2sink flvmux x264enc voaacenc; do
        "$1" "$element" >/dev/null 2>&1 || return 1
    done
}

if complete gst-inspect-1.0 || complete "$into/bin/gst-inspect-1.0"; then
    exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "tests of encoders need GStreamer 1.x with its good, bad and ugly plugins and gst-launch-1.0; install them" >&2
    exit 1
fi
echo "Unpacking GStreamer from Debian's packages (some 70 MB)"
# shellcheck source=scripts/unpack.sh
. "$root/scripts/unpack.sh"
rm -rf "$into"
unpack "$into" gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
mkdir -p "$into/bin"
lib=$(echo "$into"/usr/lib/*-linux-*)
for program in gst-launch-1.0 gst-inspect-1.0; do
    # Its core may be installed while its plugins are not: both folders are looked into.
    cat >"$into/bin/$program" <<WRAPPER
#!/bin/sh
export LD_LIBRARY_PATH="$lib:$lib/blas:$lib/lapack:$lib/pulseaudio"
export GST_PLUGIN_SYSTEM_PATH="$lib/gstreamer-1.0:/usr/lib/$(basename "$lib")/gstreamer-1.0"
export GST_REGISTRY="$into/registry.bin" GST_REGISTRY_FORK=no
for place in "$into/usr/bin/$program" "/usr/bin/$program"; do
    [ ! -x "\$place" ] || exec "\$place" "\$@"
done
WRAPPER
    chmod +x "$into/bin/$program"
done
complete "$into/bin/gst-inspect-1.0"
