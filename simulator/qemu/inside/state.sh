#!/bin/sh
# Before systemd starts: the agent's state directory on the second disk, or on a router's flash of 64 KB erase blocks.
# jffs2: the flash is memory of QEMU's that a file of the host backs (a PCI device of its own); what was written to it is
# there after a power cut, at once and in order, as on a chip. ubifs: UBI takes no such memory, so the flash is the disk
# behind block2mtd, which writes some seconds later: no place to judge power cuts by. Erased flash formats itself.
set -e
place=/var/lib/modem-agent
mkdir -p $place

flash() {
	for device in /sys/bus/pci/devices/*; do
		[ "$(cat "$device/vendor")$(cat "$device/device")" = 0x1af40x1110 ] || continue
		echo 1 >"$device/enable"
		modprobe phram "phram=state,$(sed -n '3s/ .*//p' "$device/resource"),16Mi,64ki"
	done
}

case $1 in
fstab) exit 0 ;; # the device's own table of mounts has it
ext4)
	mount -t ext4 /dev/vdb $place
	;;
jffs2)
	flash
	modprobe jffs2
	mount -t jffs2 mtd:state $place
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
