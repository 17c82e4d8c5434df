"""What NetworkManager makes of the DHCP options: metered with them, not without. Both programs are Debian's own.

Two namespaces: the router's dnsmasq, with the file that the agent writes on Debian, and a device of the house with
NetworkManager and a D-Bus of its own. /sys is read-only there, so that NetworkManager does not wait for udev.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.household import dnsmasq_conf
from agent.household.metered import DhcpOption, dhcp_options
from tests.netns.namespace import Namespace, namespaces, needs_namespaces
from tests.programs import program
from tests.waiting import wait_for

pytestmark = pytest.mark.root

PACKAGES = {"dnsmasq": "dnsmasq-base", "NetworkManager": "network-manager", "nmcli": "network-manager",
            "nsenter": "util-linux"}  # fmt: skip
URL = "https://operator.example/captive.json"
PATIENCE_S = 120.0

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow send_type="signal"/><allow receive_type="method_call"/><allow receive_type="signal"/>
<allow receive_type="method_return"/><allow receive_type="error"/></policy></busconfig>
"""
MANAGER = """[main]
plugins=keyfile
no-auto-default=*
dns=none
rc-manager=unmanaged
[connectivity]
enabled=false
[device-eth0]
match-device=interface-name:eth0
managed=1
"""
CONNECTION = """[connection]
id=house
type=ethernet
interface-name=eth0
[ipv4]
method=auto
[ipv6]
method=ignore
"""
# Run in a mount namespace of its own, which the test enters by the PID that NetworkManager takes over.
DEVICE = """set -e
mount --make-rprivate /
mount -o remount,ro /sys
mount -t tmpfs t /run
mount -t tmpfs t /var/lib/NetworkManager
mkdir -p /run/dbus /run/udev /run/conf.d /run/NetworkManager/system-connections
cp bus.conf manager.conf /run/
install -m 600 house.nmconnection /run/NetworkManager/system-connections/
dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile &
while [ ! -S /run/dbus/system_bus_socket ]; do sleep 0.1; done
exec NetworkManager --debug --config /run/manager.conf --config-dir /run/conf.d --state-file /run/state
"""


def needs(*programs: str) -> None:
    needs_namespaces()
    for name in programs:
        program(name, PACKAGES.get(name, name))


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def served(folder: Path, options: str) -> Iterator[Namespace]:
    """A device's namespace, at the cable of a router whose dnsmasq has these lines."""
    (folder / "options.conf").write_text(options)
    serving = (
        *("dnsmasq", "--keep-in-foreground", "--port=0", "--interface=lan0", "--bind-interfaces", "--user=root"),
        *(f"--conf-file={folder}/options.conf", "--dhcp-range=192.168.8.10,192.168.8.99,1h"),
        *(f"--dhcp-leasefile={folder}/leases", f"--pid-file={folder}/pid"),
    )
    with namespaces("router", "device") as names, (folder / "dnsmasq.log").open("w") as log:
        router, device = Namespace(names["router"], "192.168.8.1"), Namespace(names["device"])
        router.ip("link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", device.name)
        router.ip("addr", "add", "192.168.8.1/24", "dev", "lan0")
        router.ip("link", "set", "lan0", "up")
        device.ip("link", "set", "eth0", "up")
        with ended(router.popen(*serving, stdout=log, stderr=log)):
            yield device


def metered_says_network_manager(folder: Path, options: str) -> str:
    for name, text in (("bus.conf", BUS), ("manager.conf", MANAGER), ("house.nmconnection", CONNECTION)):
        (folder / name).write_text(text)
    with served(folder, options) as device, (folder / "manager.log").open("w") as log:
        inside = ("unshare", "--mount", "sh", "-c", DEVICE)
        with ended(device.popen(*inside, cwd=folder, stdout=log, stderr=log)) as shell:

            def ask(*words: str) -> str:
                # With its root too: the mount namespace's own is another one where this is a chroot itself.
                of = {"mount": "ns/mnt", "net": "ns/net", "root": "root"}
                spaces = [f"--{kind}=/proc/{shell.pid}/{name}" for kind, name in of.items()]
                command = ["nsenter", *spaces, "nmcli", *words]
                return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()

            def of_device(field: str) -> str:
                return ask("--terse", "--get-values", field, "device", "show", "eth0")

            wait_for("it runs", lambda: ask("--terse", "--get-values", "RUNNING", "general") == "running")
            ask("device", "set", "eth0", "managed", "yes")
            wait_for("a lease", lambda: of_device("GENERAL.STATE").startswith("100"))
            return of_device("GENERAL.METERED")


@pytest.mark.parametrize(
    ("options", "metered"), [(dhcp_options("auto", URL), "yes (guessed)"), (dhcp_options("off", ""), "no (guessed)")]
)
def test_a_device_that_is_told_takes_the_line_for_metered_and_no_other(
    tmp_path: Path, options: tuple[DhcpOption, ...], metered: str
) -> None:
    needs("dnsmasq", "NetworkManager", "nmcli", "dbus-daemon", "nsenter")
    assert metered_says_network_manager(tmp_path, dnsmasq_conf.snippet(options)) == metered


def test_a_client_gets_both_options_without_asking_for_them(tmp_path: Path) -> None:
    """busybox's udhcpc hands its script what came, in hexadecimal where it knows no name."""
    needs("dnsmasq", "busybox")
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\n[ "$1" != bound ] || env >{tmp_path}/lease\n')
    script.chmod(0o755)
    with served(tmp_path, dnsmasq_conf.snippet(dhcp_options("auto", URL))) as device:
        device.run("busybox", "udhcpc", "-q", "-n", "-f", "-t", "20", "-i", "eth0", "-s", str(script), timeout=120)
    lease = dict(line.partition("=")[::2] for line in (tmp_path / "lease").read_text().splitlines())
    assert bytes.fromhex(lease["opt43"]) == b"ANDROID_METERED"
    assert bytes.fromhex(lease["opt114"]) == URL.encode()
