"""How the packages switch the household's page on, and that they take no port from anybody."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.net.dns import ask
from tests.daemon.running import until
from tests.netns import needs_namespaces, wire

from .conftest import OPENWRT, PROJECT

UNIT = PROJECT / "systemd/modem-agent-page.service"

UCI = """#!/bin/sh
# Options are files; a list is a line each.
[ "$1" != -q ] || shift
cd "$UCI_STATE" || exit 1
case $1 in
get) cat "$2" 2>/dev/null ;;
set) printf '%s\\n' "${2#*=}" >"${2%%=*}" ;;
add_list) printf '%s\\n' "${2#*=}" >>"${2%%=*}" ;;
commit) printf '%s\\n' "$2" >>committed ;;
esac
"""


def first_boot(busybox: str, folder: Path, state: dict[str, str]) -> dict[str, str]:
    """Run the script of the first boot over UCI's options; what they are then."""
    tools, kept = folder / "bin", folder / "uci"
    tools.mkdir()
    kept.mkdir()
    (tools / "uci").write_text(UCI)
    (tools / "uci").chmod(0o755)
    for name, value in state.items():
        (kept / name).write_text(value + "\n")
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "ROOT": str(folder / "root"), "UCI_STATE": str(kept)}
    done = subprocess.run(
        [busybox, "sh", str(OPENWRT / "modem-agent.defaults")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "root/etc/modem-agent/state").stat().st_mode & 0o777 == 0o700
    return {path.name: path.read_text().rstrip("\n") for path in kept.iterdir()}


ROUTER = {"uhttpd.main": "uhttpd", "dhcp.@dnsmasq[0]": "dnsmasq", "network.lan.ipaddr": "192.168.1.1"}


def test_the_first_boot_of_a_router_switches_the_page_on(busybox: str, tmp_path: Path) -> None:
    found = first_boot(busybox, tmp_path, ROUTER)
    assert found["uhttpd.main.index_page"] == "internet.household"
    assert found["uhttpd.main.interpreter"] == ".household=/bin/sh"
    assert found["dhcp.internet_box"] == "domain"
    assert (found["dhcp.internet_box.name"], found["dhcp.internet_box.ip"]) == ("internet.box", "192.168.1.1")
    assert found["committed"].split() == ["uhttpd", "dhcp"]
    assert "www/internet.household" in (OPENWRT.parent / "Makefile").read_text().replace("$(1)/", "")


def test_a_start_page_that_somebody_chose_stays(busybox: str, tmp_path: Path) -> None:
    found = first_boot(busybox, tmp_path, {**ROUTER, "uhttpd.main.index_page": "shop.html"})
    assert found["uhttpd.main.index_page"] == "shop.html"
    assert "uhttpd.main.interpreter" not in found


@pytest.mark.parametrize("lan", ["192.168.8.1/24", "192.168.8.1/24 10.0.0.1/8"])
def test_the_address_is_taken_without_its_mask(busybox: str, tmp_path: Path, lan: str) -> None:
    found = first_boot(busybox, tmp_path, {**ROUTER, "network.lan.ipaddr": lan})
    assert found["dhcp.internet_box.ip"] == "192.168.8.1"


def test_a_router_without_web_server_or_name_server_is_left_alone(busybox: str, tmp_path: Path) -> None:
    assert first_boot(busybox, tmp_path, {}) == {}


def test_the_unit_does_not_come_back_for_a_port_that_is_taken() -> None:
    text = UNIT.read_text()
    assert re.search(r"^Restart=on-abnormal$", text, re.MULTILINE)
    assert re.search(r"^After=.*nginx\.service.*apache2\.service.*lighttpd\.service", text, re.MULTILINE)
    assert (
        re.findall(r"^(?:CapabilityBoundingSet|AmbientCapabilities)=(.*)$", text, re.MULTILINE)
        == ["CAP_NET_BIND_SERVICE"] * 2
    )
    assert re.search(r"^IPAddressDeny=any$", text, re.MULTILINE)


def test_busybox_gives_way_to_another_server(busybox: str, tmp_path: Path) -> None:
    """With a status of its own, which is no abnormal end to systemd."""
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = subprocess.run(
            [busybox, "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", str(tmp_path)], capture_output=True, timeout=60
        )
    assert done.returncode == 1
    assert b"in use" in done.stderr


def test_the_pages_unit_is_not_exposed() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze: not installed")
    command = [analyze, "security", "--offline=true", "--no-pager", str(UNIT)]
    found = re.search(
        r"exposure level for \S+: ([\d.]+)", subprocess.run(command, capture_output=True, text=True).stdout
    )
    assert found is not None
    assert float(found[1]) <= 2.0


@pytest.mark.root
def test_dnsmasq_names_the_router_itself(tmp_path: Path) -> None:
    """The line that the Pi's script writes, read by the real dnsmasq: the address of the LAN, whatever it is."""
    dnsmasq = shutil.which("dnsmasq") or pytest.skip("dnsmasq: not installed")
    script = (PROJECT / "firmware-config/raspberry-pi/setup.sh").read_text()
    found = re.search(r"put 644 /etc/dnsmasq.d/modem-agent-page.conf <<TEXT\n(.*?)TEXT\n", script, re.DOTALL)
    assert found is not None
    needs_namespaces()
    with wire() as cable:
        config = tmp_path / "dnsmasq.conf"
        config.write_text(
            found[1].replace("$lan", "wan0") + "interface=wan0\nbind-dynamic\nno-resolv\nno-hosts\nuser=root\n"
        )
        command = [dnsmasq, "--keep-in-foreground", f"--conf-file={config}", f"--pid-file={tmp_path}/pid"]
        process = cable.near.popen(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with cable.far.entered():
                assert until(lambda: addresses(cable.near.address)) == (cable.near.address,)
        finally:
            process.kill()
            process.wait()


def addresses(server: str) -> tuple[str, ...]:
    try:
        return ask(server, "internet.box", "A", timeout_s=1.0).addresses
    except AgentError:  # dnsmasq is still starting
        return ()
