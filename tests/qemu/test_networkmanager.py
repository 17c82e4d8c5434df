"""Debian's NetworkManager, ModemManager, pppd and udevd bring up a `gsm` connection over the simulated USB module."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from simulator.qemu import run
from tests.programs import program
from tests.qemu.waiting import SHELL_WAIT

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(600)]

PROGRAMS = {
    "dbus-daemon": "dbus",
    "mmcli": "modemmanager",
    "nmcli": "network-manager",
    "pppd": "ppp",
    "udevadm": "udev",
}
# The module has no network link here, so that its ports are all that there is to connect by. On a busy machine a first
# activation has failed ("could not be readied") with ppp0 there already, and the next had not: it is asked for again.
STORY = """
PATH=/usr/sbin:/sbin:$PATH
mkdir -p /run/dbus /run/udev
printf '[main]\nplugins=keyfile\nno-auto-default=*\ndns=none\n' > /etc/NetworkManager/NetworkManager.conf
/lib/systemd/systemd-udevd --daemon
dbus-daemon --system --fork
{python} -m simulator.qemu.inside.modem --profile {profile} --no-net &
ctl() {{ {python} -c "from simulator.cli import main; main()" ctl --control /run/modem-sim.sock "$@"; }}
until_true '[ -S /run/modem-sim.sock ]'
ip -n operator address add 192.0.2.1/32 dev lo
ModemManager > /run/guest/modemmanager 2>&1 &
NetworkManager --no-daemon > /run/guest/networkmanager 2>&1 &
until_true 'nmcli -t device 2>&1 | grep gsm:disconnected'
nmcli connection add type gsm ifname '*' con-name mobile apn internet autoconnect no
up() {{ until_true 'nmcli --wait 120 connection up mobile'; }}
up
nmcli -t -f TYPE,STATE,CONNECTION device
nmcli -g IP4.ADDRESS,IP4.DNS connection show mobile
ping -c 3 -W 30 192.0.2.1
{end}
until_true '! ip link show ppp0 >/dev/null 2>&1'
until_true '! ip -n operator -4 -o address show | grep peer'
ctl set coverage true
up
ping -c 3 -W 30 192.0.2.1
echo over
"""


@pytest.mark.parametrize(
    ("profile", "end"),
    [("quectel-ec25", "nmcli connection down mobile")],
    ids=["the-host-ends-it"],
)
def test_a_gsm_connection_comes_up_carries_packets_and_comes_up_again(profile: str, end: str, tmp_path: Path) -> None:
    for name, package in PROGRAMS.items():
        program(name, package)
    text = SHELL_WAIT + STORY.format(python=sys.executable, profile=profile, end=end)
    said = run(
        ["sh", "-c", text],
        timeout_s=560,
        modules=["ppp_generic", "ppp_async", "tun", "option"],
        folder=Path.cwd(),
        memory_mb=1024,
        share=tmp_path,
    ).output
    assert "gsm:connected:mobile" in said, said
    assert "195.238.2.21" in said, said
    assert said.count("3 packets transmitted, 3 received") == 2, said
    assert said.endswith("over\n"), said
