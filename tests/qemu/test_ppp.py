"""Debian's pppd and its kernel's PPP dial the simulated module: an address, name servers, packets, and the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from simulator.qemu import Result, run
from tests.programs import program
from tests.qemu.waiting import SHELL_WAIT

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(600)]

# The operator's network is a namespace with one host in it; the household's is the guest's own.
STORY = """
PATH=/usr/sbin:/sbin:$PATH
ip netns add operator && ip -n operator link set lo up && ip -n operator address add 192.0.2.1/32 dev lo
sim() {{ {python} -c "from simulator.cli import main; main()" "$@"; }}
sim serve --profile {profile} --link /tmp/m --control /tmp/m.sock --network operator &
until_true '[ -e /tmp/m ] && [ -S /tmp/m.sock ]'
pppd /tmp/m 115200 nodetach noauth local usepeerdns ipcp-accept-local ipcp-accept-remote defaultroute ipparam x {more} \
  connect "chat -t 60 ABORT ERROR ABORT 'NO CARRIER' '' ATZ OK ATDT*99***1# CONNECT ''" &
pppd=$!
until_true 'ip -4 -o address show dev ppp0 2>/dev/null | grep -q peer'
ip -4 -o address show dev ppp0
sim ctl --control /tmp/m.sock status
ping -c 3 -W 30 192.0.2.1
cat /etc/ppp/resolv.conf
sim ctl --control /tmp/m.sock get received
{end}
until_true '! kill -0 $pppd 2>/dev/null'
wait $pppd; echo "pppd ended $?"
until_true '! ip netns exec operator ip -4 -o address show | grep -q peer'
echo over
"""


def story(profile: str, end: str, more: str = "") -> Result:
    program("pppd", "ppp")
    text = SHELL_WAIT + STORY.format(python=sys.executable, profile=profile, end=end, more=more)
    return run(
        ["sh", "-c", text], timeout_s=480, modules=["ppp_generic", "ppp_async", "tun"], folder=Path.cwd(), memory_mb=768
    )


def test_pppd_gets_an_address_and_pings_through_the_module() -> None:
    said = story("quectel-ec25", "kill $pppd").output
    assert "3 packets transmitted, 3 received" in said, said
    assert "inet 100." in said
    assert "nameserver 195.238.2.21" in said
    assert "pppd ended 5" in said, "by a signal (pppd(8))"
    assert said.endswith("over\n"), said
