#!/bin/sh
# Takes a stock Raspberry Pi OS (or Debian) bookworm or trixie with an LTE module to a working router with the agent.
# On the running Pi:        sudo ./setup.sh --package modem-agent_0.1.0_all.deb --apn internet.example
# On an image's mounted root: sudo ./setup.sh --root /mnt/pi --package … --apn …   (foreign architectures need binfmt)
# May be run again at any time: every file is written whole, and nothing but what it wrote is changed.
set -eu

usage() {
	cat <<'TEXT'
usage: setup.sh --package FILE [option...]
  --package FILE     the agent's Debian package
  --apn NAME         the operator's access point name (needed with --link modemmanager)
  --link KIND        modemmanager (QMI, MBIM; default) or ecm (the module is a network card and dials by itself)
  --lan INTERFACE    the household's side (default eth0)
  --address A.B.C.D  the router's address there, a /24 (default 192.168.8.1)
  --broker URL       the operator's broker, mqtts://HOST:8883
  --read-only DEVICE the root becomes read-only; DEVICE (a partition, ext4) holds the agent's state
  --root DIRECTORY   work on the root of a mounted image instead of on this machine
  --no-packages      install nothing but the agent: the other packages are there already
TEXT
}

die() {
	echo "setup.sh: $*" >&2
	exit 1
}

say() {
	echo "setup.sh: $*"
}

package="" apn="" link=modemmanager lan=eth0 address=192.168.8.1 broker="" data="" root="" packages=yes
while [ $# -gt 0 ]; do
	case $1 in
	--no-packages) packages=no; shift; continue ;;
	-h | --help) usage; exit 0 ;;
	--*) [ $# -ge 2 ] || die "$1 needs a value" ;;
	*) usage >&2; exit 2 ;;
	esac
	case $1 in
	--package) package=$2 ;;
	--apn) apn=$2 ;;
	--link) link=$2 ;;
	--lan) lan=$2 ;;
	--address) address=$2 ;;
	--broker) broker=$2 ;;
	--read-only) data=$2 ;;
	--root) root=${2%/} ;;
	*) usage >&2; exit 2 ;;
	esac
	shift 2
done

# -- what cannot work is said before anything is changed

[ "$(id -u)" = 0 ] || die "run it with sudo"
[ -n "$package" ] || die "--package is missing: build it with 'make deb'"
[ -r "$package" ] || die "$package cannot be read"
case $link in
modemmanager) [ -n "$apn" ] || die "--apn is missing: ask the operator, it is printed with the SIM" ;;
ecm) ;;
*) die "--link $link: modemmanager or ecm" ;;
esac
case $apn in *[!A-Za-z0-9.-]*) die "--apn $apn: letters, digits, dots and hyphens only" ;; esac
case $lan in *[!A-Za-z0-9.-]* | "") die "--lan $lan: not the name of an interface" ;; esac
printf '%s\n' "$address" | grep -Eqx '([0-9]{1,3}\.){3}[0-9]{1,3}' || die "--address $address: not an IPv4 address"
[ -z "$data" ] || [ -n "$root" ] || [ -b "$data" ] || die "--read-only $data: no such partition"
[ -e "$root/etc/debian_version" ] || die "${root:-/} is not a Debian or Raspberry Pi OS root"

within() {  # run a command in the root that is set up
	if [ -n "$root" ]; then chroot "$root" "$@"; else "$@"; fi
}

running() {  # whether that root is a running system
	[ -z "$root" ] && [ -d /run/systemd/system ]
}

put() {  # put MODE PATH: standard input becomes a file of the root, in one step
	mkdir -p "$root${2%/*}"
	cat >"$root$2.new"
	chmod "$1" "$root$2.new"
	mv "$root$2.new" "$root$2"
}

# -- packages

export DEBIAN_FRONTEND=noninteractive
if [ "$packages" = yes ]; then
	say "installing packages"
	within apt-get update -qq
	within apt-get install -y -qq --no-install-recommends network-manager modemmanager dnsmasq nftables busybox \
		systemd-timesyncd python3-click python3-paho-mqtt python3-pyroute2 python3-serial kmod tzdata
fi
say "installing the agent"
cp "$package" "$root/var/tmp/modem-agent.deb"
within dpkg -i /var/tmp/modem-agent.deb >/dev/null
rm -f "$root/var/tmp/modem-agent.deb"

# -- the mobile link and the LAN, both NetworkManager's

say "network: $link on wwan0, LAN on $lan ($address/24)"
if [ "$link" = modemmanager ]; then
	put 600 /etc/NetworkManager/system-connections/mobile.nmconnection <<TEXT
[connection]
id=mobile
type=gsm
autoconnect-retries=0

[gsm]
apn=$apn

[ipv4]
method=auto

[ipv6]
method=auto
TEXT
else
	put 600 /etc/NetworkManager/system-connections/mobile.nmconnection <<TEXT
[connection]
id=mobile
type=ethernet
interface-name=wwan0
autoconnect-retries=0

[ipv4]
method=auto

[ipv6]
method=auto
TEXT
fi
put 600 /etc/NetworkManager/system-connections/lan.nmconnection <<TEXT
[connection]
id=lan
type=ethernet
interface-name=$lan

[ipv4]
method=manual
address1=$address/24
never-default=true

[ipv6]
method=link-local
TEXT

net=${address%.*}
put 644 /etc/dnsmasq.d/modem-agent.conf <<TEXT
# The household's addresses and names. Not on the mobile side.
interface=$lan
bind-dynamic
except-interface=lo
dhcp-range=$net.100,$net.250,12h
dhcp-authoritative
# The household's page.
interface-name=internet.box,$lan
TEXT
# As the agent itself writes it, which it could not on a read-only root.
put 644 /etc/dnsmasq.d/modem-agent-metered.conf <<'TEXT'
# Written by modem-agent from [household] in its configuration: change that, not this.
dhcp-option-force=43,ANDROID_METERED
TEXT

put 644 /etc/dnsmasq.d/modem-agent-page.conf <<TEXT
# The household's page: the address of the LAN, whatever it is.
interface-name=internet.box,$lan/4
TEXT

put 644 /etc/sysctl.d/90-modem-agent.conf <<'TEXT'
net.ipv4.ip_forward = 1
TEXT

put 644 /etc/nftables.d/modem-agent.nft <<TEXT
# Masquerade towards the mobile side; from there only what was asked for. No flowtable: offloaded packets would pass by
# the shaper.
table inet modem_agent
delete table inet modem_agent
table inet modem_agent {
	chain input {
		type filter hook input priority filter; policy accept;
		iifname "wwan*" ct state established,related accept
		iifname "wwan*" meta l4proto { 1, 58 } accept  # ICMP and ICMPv6
		iifname "wwan*" udp sport { 67, 547 } accept
		iifname "wwan*" drop
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		tcp flags syn tcp option maxseg size set rt mtu
		iifname "wwan*" ct state established,related accept
		iifname "wwan*" drop
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "wwan*" masquerade
	}
}
TEXT
main="$root/etc/nftables.conf"
include='include "/etc/nftables.d/*.nft"'
[ -e "$main" ] || printf '#!/usr/sbin/nft -f\nflush ruleset\n' >"$main"
grep -qxF "$include" "$main" || printf '%s\n' "$include" >>"$main"

# -- time and watchdog

# The board's own watchdog: a kernel that hangs reboots. The agent's own is systemd's (WatchdogSec).
put 644 /etc/systemd/system.conf.d/modem-agent.conf <<'TEXT'
[Manager]
RuntimeWatchdogSec=15s
RebootWatchdogSec=2min
TEXT
for config in "$root/boot/firmware/config.txt" "$root/boot/config.txt"; do
	[ -f "$config" ] || continue
	grep -qx 'dtparam=watchdog=on' "$config" || printf 'dtparam=watchdog=on\n' >>"$config"
	break
done

# -- the agent's configuration

folder="$root/etc/modem-agent"
config="$folder/config.toml"
for file in ca.pem device.pem device.key; do  # what was put there before the package made the agent's group
	[ -e "$folder/$file" ] || continue
	within chgrp modem-agent "/etc/modem-agent/$file"
	chmod 640 "$folder/$file"
done
if [ -n "$broker" ] || [ -n "$apn" ]; then
	set -- --config /etc/modem-agent/config.toml --yes --no-doctor --wan 'wwan*'
	[ -z "$apn" ] || set -- "$@" --apn "$apn"
	[ -z "$broker" ] || set -- "$@" --broker "$broker"
	[ ! -e "$folder/ca.pem" ] || set -- "$@" --ca /etc/modem-agent/ca.pem
	[ ! -e "$folder/device.pem" ] || set -- "$@" --cert /etc/modem-agent/device.pem --key /etc/modem-agent/device.key
	within modem-agent setup "$@" || die "the agent did not take this configuration"
	within chgrp modem-agent /etc/modem-agent/config.toml
	chmod 640 "$config"
fi

# -- the read-only root

if [ -n "$data" ]; then
	say "read-only root; the agent's state is on $data"
	fstab="$root/etc/fstab"
	[ -e "$fstab.before-modem-agent" ] || cp "$fstab" "$fstab.before-modem-agent"
	# ro for the root, and what must be written either in memory or on the data partition.
	awk -v data="$data" '
		/^[[:space:]]*#/ || NF < 4 { print; next }
		$2 == "/" { $4 = ($4 == "defaults" ? "ro" : "ro," $4); gsub(/,rw|rw,/, "", $4) }
		$2 ~ /^\/(tmp|var\/(log|tmp|lib\/(modem-agent|dhcp|misc|NetworkManager|systemd)))$/ { next }
		{ print }
		END {
			split("tmp var/log var/tmp var/lib/dhcp var/lib/misc var/lib/NetworkManager var/lib/systemd", memory, " ")
			for (i = 1; i in memory; i++) print "tmpfs /" memory[i] " tmpfs nosuid,nodev,mode=" (memory[i] ~ /tmp$/ ? 1777 : 755) " 0 0"
			print data " /var/lib/modem-agent ext4 noatime,nosuid,nodev,nofail 0 2"
		}' "$fstab.before-modem-agent" >"$fstab.new"
	mv "$fstab.new" "$fstab"
	for folder in dhcp misc NetworkManager systemd modem-agent; do mkdir -p "$root/var/lib/$folder"; done
	# NetworkManager cannot write the name servers there any more; this one it keeps in memory.
	ln -sfn /run/NetworkManager/resolv.conf "$root/etc/resolv.conf"
	# The root of the data partition belongs to the agent from the first mount on.
	put 644 /etc/tmpfiles.d/modem-agent-state.conf <<'TEXT'
z /var/lib/modem-agent 0750 modem-agent modem-agent -
TEXT
fi

# -- start

for unit in NetworkManager dnsmasq nftables systemd-timesyncd; do
	within systemctl enable "$unit.service" >/dev/null 2>&1 || say "$unit is not there, and was left out"
done
[ "$link" != modemmanager ] || within systemctl enable ModemManager.service >/dev/null 2>&1 || true

if running; then
	sysctl -q -p /etc/sysctl.d/90-modem-agent.conf
	systemctl daemon-reload
	udevadm control --reload
	for unit in nftables NetworkManager dnsmasq modem-agent; do systemctl restart "$unit.service" || say "$unit does not start: systemctl status $unit"; done
	say "done. What is still wrong, if anything: modem-agent doctor"
else
	say "done. The Pi is a router from its next boot on; then: modem-agent doctor"
fi
