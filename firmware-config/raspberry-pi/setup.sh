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
  --broker URL       the operator's broker, mqtts://HOST:8883; its three files stand in /etc/modem-agent
  --wifi NAME        Wi-Fi for the household, WPA2 and WPA3, in one network with its Ethernet port
  --wifi-key KEY     its key (default: one that is made), 8 to 63 characters
  --wifi-interface I the radio (default wlan0)
  --country CC       whose radio rules hold (default BE)
  --ipv6             IPv6 for the household too
  --yes              do not ask before the port of this very session is taken
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
wifi="" key="" radio=wlan0 country=BE ipv6="" yes=""
while [ $# -gt 0 ]; do
	case $1 in
	--no-packages) packages=no; shift; continue ;;
	--ipv6) ipv6=yes; shift; continue ;;
	--yes) yes=yes; shift; continue ;;
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
	--wifi) wifi=$2 ;;
	--wifi-key) key=$2 ;;
	--wifi-interface) radio=$2 ;;
	--country) country=$2 ;;
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
case $wifi in *[!A-Za-z0-9._\ -]* | " "* | *" ") die "--wifi $wifi: letters, digits, dots, hyphens and spaces within" ;; esac
[ ${#wifi} -le 32 ] || die "--wifi $wifi: 32 characters at most"
# IEEE 802.11, annex J.4: a passphrase has 8 to 63 characters. Of those that need no quotes in any of the files.
printf '%s\n' "$key" | grep -Eqx '|[A-Za-z0-9._-]{8,63}' || die "--wifi-key: 8 to 63 letters, digits, dots and hyphens"
case $radio in *[!A-Za-z0-9.-]* | "" | "$lan") die "--wifi-interface $radio: not the name of a radio" ;; esac
[ -z "$wifi" ] || [ -n "$root" ] || [ -e "/sys/class/net/$radio" ] || die "--wifi: this machine has no $radio"
case $country in [A-Z][A-Z]) ;; *) die "--country $country: two capital letters, such as BE" ;; esac
[ -e "$root/etc/debian_version" ] || die "${root:-/} is not a Debian or Raspberry Pi OS root"

# A device that cannot prove who it is, or does not know its broker, would stay away without a word.
folder="$root/etc/modem-agent"
case $broker in
mqtts://?*)
	missing=""
	for file in ca.pem:CERTIFICATE device.pem:CERTIFICATE device.key:"PRIVATE KEY"; do
		grep -qs -e "^-----BEGIN.*${file#*:}-----" "$folder/${file%%:*}" || missing="$missing ${file%%:*}"
	done
	[ -z "$missing" ] || die "--broker $broker: $folder lacks (as PEM):$missing"
	;;
"" | mqtt://?*) ;;
*) die "--broker $broker: mqtts://HOST:8883, or mqtt://HOST:1883 on a closed network" ;;
esac

session() {  # the SSH_CONNECTION of whoever called this; sudo takes it out of the environment, not out of its parents'
	pid=$$
	while [ "${pid:-0}" -gt 1 ]; do
		found=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^SSH_CONNECTION=//p')
		[ -z "$found" ] || { echo "$found"; return; }
		pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null)
	done
}

taken() {  # whether the address is on the port that becomes the household's, or on what stands upon it (bridge, VLAN)
	case $1 in
	*%*) on=${1##*%} ;;
	*) on=$(ip -o address show to "$1" | awk 'NR == 1 { print $2 }') ;;
	esac
	[ "$on" = "$lan" ] || [ -e "/sys/class/net/$on/lower_$lan" ]
}

here=""
[ -n "$root" ] || here=$(session | awk '{ print $3 }')  # client, its port, server, its port
if [ -n "$here" ] && [ "$here" != "$address" ] && taken "$here"; then
	say "you are logged in by $lan ($here): it becomes the household's side, and this session ends. From then on"
	say "you reach this machine at $address, by a device on that port"
	[ -n "$yes" ] || [ -t 0 ] || die "nobody is there to confirm; say --yes, or --lan with another port"
	[ -n "$yes" ] || { printf 'Go on? [y/N] ' && read -r yes; }
	case $yes in y | Y | yes | j | ja | o | oui) ;; *) die "not confirmed: nothing was done" ;; esac
fi

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
		systemd-timesyncd python3-click python3-paho-mqtt python3-pyroute2 python3-serial kmod tzdata ${wifi:+hostapd}
fi
say "installing the agent"
cp "$package" "$root/var/tmp/modem-agent.deb"
within dpkg -i /var/tmp/modem-agent.deb >/dev/null
rm -f "$root/var/tmp/modem-agent.deb"

# -- the mobile link and the LAN, both NetworkManager's

say "network: $link on wwan0, LAN on $lan ($address/24)${wifi:+, Wi-Fi on $radio}"
port=$lan
[ -z "$wifi" ] || lan=br-lan  # the port and the radio are one network
case $link in
modemmanager) kind=gsm only="[gsm]
apn=$apn" ;;
ecm) kind=ethernet only="interface-name=wwan0" ;;
esac
put 600 /etc/NetworkManager/system-connections/mobile.nmconnection <<TEXT
[connection]
id=mobile
type=$kind
autoconnect-retries=0
$only
[ipv4]
method=auto
[ipv6]
method=auto
TEXT
lan_file=/etc/NetworkManager/system-connections/lan.nmconnection six="method=link-local"
if [ -n "$ipv6" ]; then
	# RFC 4193: fd and 40 random bits, the same ones at the next run. A mobile line has one /64 (3GPP TS 23.401, 5.3.1.2.2),
	# for the router itself; so the household has addresses of its own, masqueraded like its IPv4.
	prefix=$(sed -n 's/^address1=\(fd.*\)::1.64$/\1/p' "$root$lan_file" 2>/dev/null || true)
	[ -n "$prefix" ] || prefix=$(od -An -N5 -tx1 /dev/urandom | tr -d ' \n' | sed 's/\(..\)\(....\)\(....\)/fd\1:\2:\3/')
	six="method=manual
address1=$prefix::1/64
never-default=true"
fi
put 600 $lan_file <<TEXT
[connection]
id=lan
type=$([ -n "$wifi" ] && echo bridge || echo ethernet)
interface-name=$lan
[ipv4]
method=manual
address1=$address/24
never-default=true
[ipv6]
$six
TEXT
if [ -n "$wifi" ]; then
	put 600 /etc/NetworkManager/system-connections/lan-port.nmconnection <<TEXT
[connection]
id=lan-port
type=ethernet
interface-name=$port
master=$lan
slave-type=bridge
TEXT
	put 644 /etc/NetworkManager/conf.d/modem-agent-wifi.conf <<TEXT
# hostapd has the radio.
[keyfile]
unmanaged-devices=interface-name:$radio
TEXT
else
	connections=$root/etc/NetworkManager
	rm -f "$connections/system-connections/lan-port.nmconnection" "$connections/conf.d/modem-agent-wifi.conf" "$root/etc/hostapd/$radio.conf"
fi

net=${address%.*}
put 644 /etc/dnsmasq.d/modem-agent.conf <<TEXT
# The household's addresses and names. Not on the mobile side.
interface=$lan
bind-dynamic
except-interface=lo
dhcp-range=$net.100,$net.250,12h
dhcp-authoritative
$([ -z "$ipv6" ] || printf 'enable-ra\ndhcp-range=%s::,ra-stateless,64,12h' "$prefix")
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

put 644 /etc/sysctl.d/90-modem-agent.conf <<TEXT
net.ipv4.ip_forward = 1
${ipv6:+net.ipv6.conf.all.forwarding = 1}
TEXT

# -- Wi-Fi

if [ -n "$wifi" ]; then
	[ -n "$key" ] || key=$(sed -n 's/^wpa_passphrase=//p' "$root/etc/hostapd/$radio.conf" 2>/dev/null || true)
	# Without letters and digits that look alike: 16 of 31, 79 bits.
	[ -n "$key" ] || key=$(LC_ALL=C tr -dc 'a-hjkmnp-z2-9' </dev/urandom | head -c 16 | sed 's/..../&-/g; s/-$//')
	keys="WPA-PSK WPA-PSK-SHA256 SAE" protected=1 mode="WPA2 and WPA3"
	# As an access point the Pi's own radio takes no WPA3 device and may not send with protected frames, without a word
	# (github.com/raspberrypi/linux/issues/4718, comments of January 2024).
	driver=brcmfmac  # of an image that is only mounted, the Pi's own
	[ -n "$root" ] || driver=$(readlink "/sys/class/net/$radio/device/driver" || true)
	case $driver in *brcmfmac) keys=WPA-PSK protected=0 mode="WPA2, which is all that this radio has for others" ;; esac
	say "Wi-Fi '$wifi' on $radio: $mode"
	put 640 "/etc/hostapd/$radio.conf" <<TEXT
# Written by setup.sh. The agent puts "metered" into the beacons over this socket.
interface=$radio
bridge=$lan
driver=nl80211
ctrl_interface=/run/hostapd
ctrl_interface_group=modem-agent
ssid=$wifi
country_code=$country
ieee80211d=1
hw_mode=g
channel=6
ieee80211n=1
wmm_enabled=1
wpa=2
wpa_key_mgmt=$keys
rsn_pairwise=CCMP
ieee80211w=$protected
sae_require_mfp=1
wpa_passphrase=$key
TEXT
	within chgrp modem-agent "/etc/hostapd/$radio.conf"
	put 600 /etc/modem-agent/wifi-label.html <<TEXT
<!DOCTYPE html>
<html lang="fr"><head><meta charset="utf-8"><title>Wi-Fi</title><style>
@page{size:A6 landscape;margin:8mm}body{font:16pt/1.5 system-ui,sans-serif}b{font:bold 20pt monospace}</style></head><body>
<h1>Wi-Fi</h1>
<p>Nom / Naam / Name: <b>$wifi</b><br>Cl&eacute; / Sleutel / Schl&uuml;ssel / Key: <b>$key</b></p>
<p>http://internet.box/</p></body></html>
TEXT
	say "the label to print: /etc/modem-agent/wifi-label.html"
fi

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
	chmod 640 "$folder/config.toml"
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
	# The agent, which is not root, can write over all that is free at the end of a contract.
	tune2fs -m 0 "$data" >/dev/null 2>&1 || say "$data: tune2fs -m 0 failed; an erase leaves what is in the room kept for root"
	# The root of the data partition belongs to the agent from the first mount on.
	put 644 /etc/tmpfiles.d/modem-agent-state.conf <<'TEXT'
z /var/lib/modem-agent 0750 modem-agent modem-agent -
TEXT
fi

# -- start

for unit in NetworkManager dnsmasq nftables systemd-timesyncd ${wifi:+"hostapd@$radio"}; do
	within systemctl enable "$unit.service" >/dev/null 2>&1 || say "$unit is not there, and was left out"
done
[ "$link" != modemmanager ] || within systemctl enable ModemManager.service >/dev/null 2>&1 || true

if running; then
	sysctl -q -p /etc/sysctl.d/90-modem-agent.conf
	systemctl daemon-reload
	udevadm control --reload
	[ -z "$wifi" ] || rfkill unblock wlan 2>/dev/null || true  # Raspberry Pi OS blocks it until a country is named
	for unit in nftables NetworkManager ${wifi:+"hostapd@$radio"} dnsmasq modem-agent; do systemctl restart "$unit.service" || say "$unit does not start: systemctl status $unit"; done
	say "done. What is still wrong, if anything: modem-agent doctor"
else
	say "done. The Pi is a router from its next boot on; then: modem-agent doctor"
fi
