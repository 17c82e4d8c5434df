"""A Raspberry Pi as its script leaves it, switched on: read-only, a router for the household, with a green doctor."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from simulator.qemu import GuestUnavailable
from simulator.qemu.device import Device, Wiring
from simulator.qemu.image import RASPBERRY_PI
from tests.qemu.waiting import PATIENCE_S, wait_for

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def pi() -> Iterator[Device]:
    try:
        built = Device(Wiring(way=RASPBERRY_PI, memory_mb=768))
    except GuestUnavailable as reason:
        pytest.skip(f"mmdebstrap: {reason}")
    with built as pi:
        pi.power_on(PATIENCE_S)
        yield pi


def test_the_doctor_ends_green_after_one_sitting(pi: Device) -> None:
    """Port, module, SIM, address by DHCP, name servers, internet, broker, clock, shaper, disk: nothing is broken."""

    last: list[str] = []

    def verdict() -> dict[str, str] | None:
        said = pi.run("modem-agent", "doctor", "--json", timeout_s=PATIENCE_S, check=False)
        last[:] = said.output.splitlines()[-1:]
        found = {row["link"]: row["level"] for row in json.loads(last[0])["links"]}
        return found if said.exit_code == 0 else None

    states = wait_for("a doctor that ends with 0", verdict, seen=lambda: "".join(last))
    assert {name: level for name, level in states.items() if level != "ok"} == {}, "".join(last)
    assert "broker.example:8883" in "".join(last), "by TLS, with the three files of the README"


def test_the_household_gets_an_address_and_reaches_the_internet(pi: Device) -> None:
    """From dnsmasq, by way of the masquerade: the operator knows no way to 192.168.8.0/24."""
    lease = "ip netns exec household busybox udhcpc -i eth0 -n -q -f -s /bin/true 2>&1"
    assert "obtained from 192.168.8.1" in wait_for("a lease", lambda: pi.shell(lease, check=False))
    assert "1 received" in pi.shell("ip netns exec household ping -c 1 -W 10 1.1.1.1", check=False)
    names = pi.shell("ip netns exec household busybox nslookup broker.example 192.168.8.1", check=False)
    assert "10.64.0.1" in names, names


def test_the_household_s_devices_are_told_that_the_line_is_metered(pi: Device) -> None:
    """From the first boot on, on a root that takes no changes."""
    said = pi.run("modem-agent", "doctor", "--json", timeout_s=PATIENCE_S, check=False)
    found = {row["link"]: row["text"] for row in json.loads(said.output.splitlines()[-1])["links"]}
    assert found["devices"].startswith("announced to the devices: Wi-Fi none, cable yes")
    script = "printf '#!/bin/sh\\n[ $1 != bound ] || echo $opt43\\n' >/tmp/option43; chmod 755 /tmp/option43"
    ask = "ip netns exec household busybox udhcpc -i eth0 -n -q -f -s /tmp/option43 2>/dev/null"
    assert b"ANDROID_METERED".hex() in pi.shell(f"{script}; {ask}", check=False)
    assert "enabled" in pi.shell("systemctl is-enabled modem-agent-dnsmasq.path", check=False)


def test_nothing_comes_in_from_the_mobile_side_uncalled(pi: Device) -> None:
    """What listens on the Pi towards the household (its name server) is not there for the operator's side."""
    ask = "busybox nslookup -type=a broker.example 10.64.0.2"
    assert "10.64.0.1" not in pi.shell(f"ip netns exec operator timeout 5 {ask} | sed 1,2d", check=False)


def test_the_root_is_read_only_and_the_state_has_a_partition_of_its_own(pi: Device) -> None:
    mounts = {line.split()[1]: line.split()[3].split(",") for line in pi.run("cat", "/proc/mounts").output.splitlines()}
    assert "ro" in mounts["/"]
    assert "rw" in mounts["/var/lib/modem-agent"]
    assert pi.run("stat", "-c", "%U %a", "/var/lib/modem-agent").output.split() == ["modem-agent", "750"]
    failed = pi.run("systemctl", "--failed", "--plain", "--no-legend", check=False).output
    assert failed == ""


def test_the_boards_watchdog_is_fed_by_systemd(pi: Device) -> None:
    assert pi.run("cat", "/sys/class/watchdog/watchdog0/state").output == "active\n"
    assert pi.run("systemctl", "show", "--property=RuntimeWatchdogUSec").output == "RuntimeWatchdogUSec=15s\n"


def test_the_service_may_count_its_own_names_and_complains_of_nothing(pi: Device) -> None:
    """With the rights that its unit gives it: a table of nf_tables, whose module the kernel has loaded for it."""
    wait_for("the table", lambda: "table inet modem-agent-" in pi.run("nft", "list", "tables").output)
    said = pi.run("journalctl", "--unit=modem-agent", "--boot", "--output=cat", "--no-pager").output
    assert [line for line in said.splitlines() if line.startswith(("WARNING", "ERROR"))] == []
