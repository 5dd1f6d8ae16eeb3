#!/bin/sh
# QEMU, a kernel and busybox for benchmarks in an emulated machine: Debian's packages, unpacked into .venv/emulator.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
into=$root/.venv/emulator

[ ! -e "$into/initrd.gz" ] || exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "an emulated machine is put together from Debian's packages: this needs apt-get and dpkg" >&2
    exit 1
fi

echo "Unpacking QEMU and a kernel from Debian's packages"
# shellcheck source=scripts/unpack.sh
. "$root/scripts/unpack.sh"
unpack "$into" qemu-system-x86 qemu-system-data seabios libfuse3-3 linux-image-amd64 busybox-static

busybox=$into/bin/busybox
version=$(ls "$into/lib/modules")
modules=$into/lib/modules/$version
"$busybox" depmod -b "$into" "$version"
first=$into/initrd
mkdir -p "$first/bin" "$first/modules" "$first/proc" "$first/sys" "$first/dev" "$first/host" "$first/over" "$first/new"
cp "$busybox" "$first/bin/"
for name in virtio_pci 9pnet_virtio 9p overlay tcp_diag tls; do
    # A line of modules.dep is a module and all it needs, in the order opposite to that of loading.
    line=$(grep "/$name\.ko[^:]*:" "$modules/modules.dep")
    for file in $(echo "$line" | tr -d : | awk '{ for (i = NF; i > 0; i--) print $i }'); do
        cp "$modules/$file" "$first/modules/"
        echo "${file##*/}" >>"$first/order"
    done
done
cp "$root/scripts/emulator-init.sh" "$first/init"
chmod +x "$first/init"
(cd "$first" && find . | "$busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$into/initrd.part"
mv "$into/initrd.part" "$into/initrd.gz"
