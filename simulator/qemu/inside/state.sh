#!/bin/sh
# Before systemd starts: the agent's state directory on the second disk, as ext4 or as a router's flash. Flash is the
# disk behind block2mtd, so that it outlives the power, with 64 KB erase blocks; erased flash formats itself.
set -e
place=/var/lib/modem-agent
mkdir -p $place
case $1 in
ext4)
	mount -t ext4 /dev/vdb $place
	;;
jffs2)
	modprobe block2mtd block2mtd=/dev/vdb,65536
	modprobe jffs2
	modprobe mtdblock
	mount -t jffs2 /dev/mtdblock0 $place
	;;
ubifs)
	modprobe -a zstd ubi ubifs
	modprobe block2mtd block2mtd=/dev/vdb,65536
	ubiattach -m 0 >/dev/null
	[ -e /sys/class/ubi/ubi0_0 ] || ubimkvol /dev/ubi0 -N state -m >/dev/null
	mount -t ubifs ubi0:state $place
	;;
*)
	echo "state: unknown file system '$1'"
	exit 1
	;;
esac
