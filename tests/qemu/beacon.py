"""Run in a guest with two simulated radios: what a device of the house sees of the agent's Network Cost element.

hostapd on wlan0, NetworkManager on wlan1, and a third party on hwsim0, which hears every frame of the air: the beacons,
and whether anybody is sent away. The agent's own task keeps the element. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agent.config import Household
from agent.daemon.tasks.announcing import Announcing
from agent.events import unheard
from agent.household import metered
from tests.household.test_network_manager import BUS

CHANGES = 50
PATIENCE_S = 120.0
ETH_P_ALL = 3
BEACON, DISASSOCIATION, DEAUTHENTICATION = 0x80, 0xA0, 0xC0  # IEEE 802.11-2020, 9.2.4.1: first byte of frame control
BEACON_ELEMENTS = 24 + 12  # header; timestamp, interval, capabilities: 9.3.3.2

HOSTAPD = """interface=wlan0
driver=nl80211
ctrl_interface=/run/hostapd
ssid=Internet-voor-iedereen
hw_mode=g
channel=1
vendor_elements=dd0400112233
"""
MANAGER = """[main]
plugins=keyfile
no-auto-default=*
dns=none
rc-manager=unmanaged
[connectivity]
enabled=false
[device-router]
match-device=interface-name:wlan0
managed=0
"""
CONNECTION = """[connection]
id=house
type=wifi
interface-name=wlan1
[wifi]
ssid=Internet-voor-iedereen
mode=infrastructure
[ipv4]
method=auto
[ipv6]
method=ignore
"""


@dataclass
class Seen:
    """What the test judges."""

    metered: str = ""  # NetworkManager's word for the line, once it has joined
    changes_s: list[float] = field(default_factory=list)  # from a change of the plan to the first beacon that has it
    sent_away: int = 0  # frames that end an association, during the changes
    restart_s: float = 0.0  # from the first beacon of a restarted hostapd to the first with the element
    most_at_once: int = 0  # elements of ours in one beacon
    foreign_lost: int = 0  # beacons without the element of somebody else


class Air:
    """Listens on hwsim0 and keeps what the last beacon had."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind(("hwsim0", 0))
        self.element, self.beacons = b"", 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            frame = self._socket.recv(4_096)
            frame = frame[int.from_bytes(frame[2:4], "little") :]  # the radiotap header says its own length
            if frame[:1] in (bytes([DISASSOCIATION]), bytes([DEAUTHENTICATION])):
                self._seen.sent_away += 1
            elif frame[:1] == bytes([BEACON]):
                self._beacon(elements(frame[BEACON_ELEMENTS:]))

    def _beacon(self, present: list[bytes]) -> None:
        ours = [one for one in present if one[2:6] == metered.NETWORK_COST]
        self._seen.most_at_once = max(self._seen.most_at_once, len(ours))
        self._seen.foreign_lost += bytes.fromhex("dd0400112233") not in present
        self.element = ours[0] if ours else b""
        self.beacons += 1

    def await_element(self, wanted: bytes) -> float:
        """How long it took until a beacon had it."""
        return until(lambda: self.element == wanted, f"no beacon with {wanted.hex()}")


def elements(content: bytes) -> list[bytes]:
    found = []
    while len(content) >= 2:
        found.append(content[: 2 + content[1]])
        content = content[2 + content[1] :]
    return found


class Plan:
    """The agent's task on a loop of its own."""

    def __init__(self) -> None:
        self._task = Announcing(Household(), unheard, time.monotonic)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, daemon=True).start()

    def want(self, state: str) -> None:
        self._task.want(state)

    def _run(self) -> None:
        self._loop.run_until_complete(self._task.run())


def until(true: Callable[[], bool], what: str) -> float:
    """How long it took."""
    began = time.monotonic()
    while not true():
        if time.monotonic() > began + PATIENCE_S:
            raise SystemExit(f"never: {what}")
        time.sleep(0.01)
    return time.monotonic() - began


def start(name: str, *command: str) -> subprocess.Popen[bytes]:
    with Path(f"/run/{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def nmcli(*words: str) -> str:
    return subprocess.run(["nmcli", *words], capture_output=True, text=True, check=False).stdout.strip()


def prepare() -> None:
    for folder in ("dbus", "conf.d", "NetworkManager/system-connections"):
        Path("/run", folder).mkdir(parents=True, exist_ok=True)
    Path("/etc/hostapd").mkdir(exist_ok=True)
    for path, text in (
        ("/etc/hostapd/hostapd.conf", HOSTAPD),
        ("/run/bus.conf", BUS),
        ("/run/manager.conf", MANAGER),
        ("/run/NetworkManager/system-connections/house.nmconnection", CONNECTION),
    ):
        Path(path).write_text(text)
        Path(path).chmod(0o600)
    subprocess.run(["ip", "link", "set", "hwsim0", "up"], check=True)
    subprocess.run(["mount", "-o", "remount,ro", "/sys"], check=True)  # or NetworkManager waits for udev


def join() -> str:
    """A device of the house joins by Wi-Fi; what it makes of the line."""
    start("dnsmasq", "dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--interface=wlan0", "--bind-interfaces",
          "--dhcp-range=192.168.8.10,192.168.8.99,1h", "--user=root", "--dhcp-leasefile=/run/leases")  # fmt: skip
    start("dbus", "dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile")
    until(lambda: Path("/run/dbus/system_bus_socket").exists(), "no D-Bus")
    start("wpa", "wpa_supplicant", "-u", "-O", "/run/wpa")
    start("manager", "NetworkManager", "--debug", "--config", "/run/manager.conf", "--config-dir", "/run/conf.d",
          "--state-file", "/run/state")  # fmt: skip
    until(lambda: nmcli("-t", "-g", "RUNNING", "general") == "running", "NetworkManager does not run")
    nmcli("device", "set", "wlan1", "managed", "yes")
    until(lambda: nmcli("-t", "-g", "GENERAL.STATE", "device", "show", "wlan1").startswith("100"), "it does not join")
    return nmcli("-t", "-g", "GENERAL.METERED", "device", "show", "wlan1")


def main() -> int:
    prepare()
    seen = Seen()
    air, plan = Air(seen), Plan()
    hostapd = start("hostapd", "hostapd", "/etc/hostapd/hostapd.conf")
    air.await_element(metered.element("normal"))
    subprocess.run(["ip", "addr", "add", "192.168.8.1/24", "dev", "wlan0"], check=True)
    seen.metered = join()
    seen.sent_away = 0
    for number in range(CHANGES):
        state = ("warned", "throttled", "normal")[number % 3]
        plan.want(state)
        seen.changes_s.append(air.await_element(metered.element(state)))
    changed = seen.sent_away
    hostapd.terminate()
    hostapd.wait()
    before = air.beacons
    start("hostapd", "hostapd", "/etc/hostapd/hostapd.conf")
    until(lambda: air.beacons > before, "no beacon")
    seen.restart_s = air.await_element(metered.element(state))
    print(json.dumps({**asdict(seen), "sent_away": changed}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
