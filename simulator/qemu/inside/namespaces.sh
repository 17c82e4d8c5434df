#!/bin/sh
# The two other ends of the device: the operator behind the module, the household behind the second NIC. The device's
# own LAN port is the first of two virtio NICs on one hub, the household's card the second.
set -e
ip netns add operator
ip -n operator link set lo up
# What the agent's doctor asks of the internet; the broker's second port answers there.
ip -n operator address add 1.1.1.1/32 dev lo
ip -n operator address add 9.9.9.9/32 dev lo
ip netns add household
ip -n household link set lo up
lan="" house=""
for link in /sys/class/net/*; do
	[ -e "$link/device/driver" ] || continue
	case $(readlink -f "$link/device/driver") in */virtio_net) ;; *) continue ;; esac
	if [ -z "$lan" ]; then lan=${link##*/}; else house=${link##*/}; fi
done
[ -n "$house" ] || exit 0
ip link set "$lan" down
ip link set "$lan" name lan0
ip link set "$house" netns household name eth0
ip -n household address add 192.168.8.2/24 dev eth0
ip -n household link set eth0 up
ip -n household route add default via 192.168.8.1
