#!/bin/busybox sh
# The first process of an emulated machine: the files of the one around it, on which only its memory writes, then `run`.
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t devtmpfs dev /dev
for module in $($busybox cat /order); do
    $busybox insmod "/modules/$module" 2>/dev/null
done
$busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host
$busybox mount -t tmpfs -o size=80% over /over
$busybox mkdir /over/upper /over/work
$busybox mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work over /new
for each in proc sys dev; do
    $busybox mount --move "/$each" "/new/$each"
done
$busybox mkdir -p /new/dev/shm /new/dev/pts
$busybox mount -t tmpfs shm /new/dev/shm
$busybox mount -t devpts pts /new/dev/pts
$busybox mount -t tmpfs -o size=50% tmp /new/tmp
$busybox mkdir /new/tmp/guest
$busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 guest /new/tmp/guest
$busybox ip link set lo up
exec $busybox switch_root /new /bin/sh /tmp/guest/run
