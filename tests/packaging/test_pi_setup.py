"""The Raspberry Pi's script: what it refuses, what it asks, and what hostapd, dnsmasq and nft make of its files.

It runs on this machine's own root under an overlay that is thrown away, in namespaces of its own. Stand-ins take the
place of apt-get, dpkg, systemctl, udevadm, sysctl, chgrp and the agent: they note how they were called, the agent's
makes its configuration. Not imitated: that a package is installed, that a unit starts, that NetworkManager reads its
connections, a radio.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import PROJECT

SCRIPT = PROJECT / "firmware-config/raspberry-pi/setup.sh"
STAND_INS = ("apt-get", "dpkg", "systemctl", "udevadm", "sysctl", "chgrp", "modem-agent", "rfkill")
# $1: where the changes are copied to. $2: what stands between the session's shell and the script.
WITHIN = """
set -e
mount -t tmpfs none "$SIDE/m" && mkdir "$SIDE/m/u" "$SIDE/m/w" "$SIDE/m/root"
mount -t overlay -o "lowerdir=/,upperdir=$SIDE/m/u,workdir=$SIDE/m/w" overlay "$SIDE/m/root"
mount -t proc proc "$SIDE/m/root/proc" && mount -t sysfs sysfs "$SIDE/m/root/sys"
mount --rbind /dev "$SIDE/m/root/dev"
mkdir -p "$SIDE/m/root$SIDE" && mount --bind "$SIDE" "$SIDE/m/root$SIDE"
ip link add eth0 type veth peer name far0
ip link add wlan0 type veth peer name far1
ip address add 192.0.2.7/24 dev eth0
ip address add 2001:db8::7/64 dev eth0 nodad
ip link add br0 type bridge && ip link set eth0 master br0
ip address add 198.51.100.7/24 dev br0
ip link add eth1 type veth peer name far2
ip address add 10.9.0.7/24 dev eth1
rm -rf "$SIDE/m/root/etc/modem-agent" && mkdir -p "$SIDE/m/root/etc/modem-agent"
[ ! -d "$SIDE/files" ] || cp -r "$SIDE/files/." "$SIDE/m/root/etc/modem-agent/"
[ ! -d "$SIDE/before" ] || cp -a "$SIDE/before/." "$SIDE/m/root/etc/"
status=0
# As sudo does it: the session's shell has the variable, what it starts has not.
chroot "$SIDE/m/root" /bin/sh -c 'env -u SSH_CONNECTION "$@"; exit $?' sh "$@" || status=$?
cp -a "$SIDE/m/u/etc" "$SIDE/etc" 2>/dev/null || true
exit $status
"""


@dataclass(frozen=True)
class Outcome:
    status: int
    said: str
    etc: Path  # what was changed below it
    calls: str  # of the stand-ins

    def text(self, place: str) -> str:
        return (self.etc / place).read_text()


@pytest.fixture
def side(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("root: an overlay and namespaces")
    (tmp_path / "m").mkdir()
    (tmp_path / "bin").mkdir()
    for name in STAND_INS:
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/calls\n')
        (tmp_path / "bin" / name).chmod(0o755)
    with (tmp_path / "bin/modem-agent").open("a") as script:
        script.write("touch /etc/modem-agent/config.toml\n")
    (tmp_path / "agent.deb").write_text("a package")
    shutil.copy(SCRIPT, tmp_path / "setup.sh")
    return tmp_path


def run(side: Path, *words: str, ssh: str = "", answer: str | None = None) -> Outcome:
    """`ssh` is the address by which somebody is logged in; `answer` is typed on a terminal, None: there is none."""
    shutil.rmtree(side / "etc", ignore_errors=True)
    (side / "calls").write_text("")
    environment = {"PATH": f"{side}/bin:{os.environ['PATH']}:/usr/sbin:/sbin", "SIDE": str(side), "LC_ALL": "C"}
    if ssh:
        environment["SSH_CONNECTION"] = f"192.0.2.1 50000 {ssh} 22"
    script = [f"{side}/setup.sh", "--package", f"{side}/agent.deb", "--apn", "internet", *words]
    command = ["unshare", "--mount", "--net", "sh", "-c", WITHIN, "sh", *script]
    near = subprocess.DEVNULL
    far = -1
    if answer is not None:
        far, near = pty.openpty()
        os.write(far, answer.encode() + b"\n")
    try:
        done = subprocess.run(
            command, env=environment, stdin=near, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    finally:
        if far >= 0:
            os.close(near)
            os.close(far)
    return Outcome(done.returncode, done.stdout, side / "etc", (side / "calls").read_text())


def changed(outcome: Outcome) -> bool:
    return bool(outcome.calls) or (outcome.etc / "NetworkManager").exists()


# -- the port of this very session -------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.parametrize("ssh", ["192.0.2.7", "2001:db8::7", "fe80::1%eth0", "198.51.100.7"])
def test_the_port_that_one_is_logged_in_by_is_not_taken_unasked(side: Path, ssh: str) -> None:
    """By its own address, of either family, by a link's own, or over a bridge that it is a port of."""
    done = run(side, ssh=ssh)
    assert (done.status, changed(done)) == (1, False), done.said
    assert f"logged in by eth0 ({ssh})" in done.said
    assert "say --yes" in done.said
    done = run(side, ssh=ssh, answer="n")
    assert (done.status, changed(done)) == (1, False), done.said
    assert "not confirmed: nothing was done" in done.said


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "ssh", "answer", "asked"),
    [
        ([], "192.0.2.7", "y", True),
        (["--yes"], "192.0.2.7", None, True),
        ([], "", None, False),  # at the console
        ([], "10.9.0.7", None, False),  # by another port
        (["--lan", "eth1"], "192.0.2.7", None, False),
        (["--address", "192.0.2.7"], "192.0.2.7", None, False),  # the address stays: a second run
    ],
)
def test_otherwise_it_goes_on(side: Path, words: list[str], ssh: str, answer: str | None, asked: bool) -> None:
    done = run(side, *words, ssh=ssh, answer=answer)
    assert done.status == 0, done.said
    assert ("logged in by" in done.said) is asked
    assert "dpkg -i" in done.calls


# -- the broker --------------------------------------------------------------------------------------------------------

PEM = {name: f"-----BEGIN {kind}-----\nAA==\n-----END {kind}-----\n" for name, kind in
       (("ca.pem", "CERTIFICATE"), ("device.pem", "CERTIFICATE"), ("device.key", "PRIVATE KEY"))}  # fmt: skip
BROKER = ("--broker", "mqtts://broker.example:8883")


@pytest.mark.root
@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        ({}, "ca.pem device.pem device.key"),
        ({"ca.pem": PEM["ca.pem"]}, "device.pem device.key"),
        ({**PEM, "device.key": ""}, "device.key"),
        ({**PEM, "device.key": PEM["ca.pem"]}, "device.key"),
        ({**PEM, "device.pem": PEM["device.key"]}, "device.pem"),
    ],
)
def test_a_broker_without_its_certificates_is_refused(side: Path, files: dict[str, str], lacks: str) -> None:
    (side / "files").mkdir()
    for name, text in files.items():
        (side / "files" / name).write_text(text)
    done = run(side, *BROKER)
    assert (done.status, changed(done)) == (1, False), done.said
    assert done.said.strip().endswith(f"/etc/modem-agent lacks (as PEM): {lacks}")


@pytest.mark.root
@pytest.mark.parametrize("kind", ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"])
def test_a_broker_with_its_certificates_is_taken(side: Path, kind: str) -> None:
    (side / "files").mkdir()
    for name, text in {**PEM, "device.key": f"-----BEGIN {kind}-----\nAA==\n-----END {kind}-----\n"}.items():
        (side / "files" / name).write_text(text)
    done = run(side, *BROKER)
    assert done.status == 0, done.said
    assert "--broker mqtts://broker.example:8883 --ca /etc/modem-agent/ca.pem" in done.calls


# -- Wi-Fi and IPv6 ----------------------------------------------------------------------------------------------------


def hostapds_word(config: str, folder: Path) -> str:
    """What hostapd says of a configuration. Without a radio: its own driver "none" reads the same file."""
    hostapd = shutil.which("hostapd") or shutil.which("/usr/sbin/hostapd") or pytest.skip("hostapd: not installed")
    file = folder / "tried.conf"
    tried = config.replace("driver=nl80211", "driver=none").replace("/run/hostapd", str(folder / "ctrl"))
    file.write_text(tried.replace("ctrl_interface_group=modem-agent\n", ""))
    command = ["unshare", "--net", "sh", "-c", 'ip link add wlan0 type veth; exec "$0" "$1"', hostapd, str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:  # ends with its refusal, or goes on once it is set up
        said += line
        if "AP-ENABLED" in line or "Setup of interface done" in line:
            break
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
    process.stdout.close()
    return said


@pytest.fixture
def wireless(side: Path) -> Outcome:
    done = run(side, "--wifi", "Chez nous 2", "--ipv6")
    assert done.status == 0, done.said
    return done


@pytest.mark.root
def test_hostapd_takes_the_access_point(wireless: Outcome, tmp_path: Path) -> None:
    config = wireless.text("hostapd/wlan0.conf")
    said = hostapds_word(config, tmp_path)
    assert "AP-ENABLED" in said, said
    assert "AP-ENABLED" not in hostapds_word(
        config.replace("wpa_passphrase=", "wpa_passphrase=x\nwpa_passphrase=y#"), tmp_path
    )
    keys = dict(line.split("=", 1) for line in config.splitlines() if not line.startswith("#"))
    assert (keys["ssid"], keys["wpa"], keys["bridge"], keys["country_code"]) == ("Chez nous 2", "2", "br-lan", "BE")
    assert keys["wpa_key_mgmt"].split() == ["WPA-PSK", "WPA-PSK-SHA256", "SAE"]
    assert (wireless.etc / "hostapd/wlan0.conf").stat().st_mode & 0o777 == 0o640


@pytest.mark.root
def test_the_pis_own_radio_gets_wpa2_alone(side: Path, tmp_path: Path) -> None:
    """A mounted image, here this root by another name: its radio is taken for the Pi's."""
    done = run(side, "--root", "/.", "--wifi", "W")
    assert "WPA2, which is all that this radio has for others" in done.said
    config = done.text("hostapd/wlan0.conf")
    assert "wpa_key_mgmt=WPA-PSK\n" in config
    assert "ieee80211w=0\n" in config
    assert "AP-ENABLED" in hostapds_word(config, tmp_path)


@pytest.mark.root
def test_name_and_key_stand_on_a_page_to_print(wireless: Outcome) -> None:
    key = re.search(r"^wpa_passphrase=(.*)$", wireless.text("hostapd/wlan0.conf"), re.MULTILINE)
    label = wireless.text("modem-agent/wifi-label.html")
    assert key is not None
    assert re.fullmatch(r"([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}", key[1])
    assert f"<b>{key[1]}</b>" in label
    assert "<b>Chez nous 2</b>" in label
    assert (wireless.etc / "modem-agent/wifi-label.html").stat().st_mode & 0o777 == 0o600
    assert key[1] not in wireless.said


@pytest.mark.root
def test_cable_and_radio_are_one_network(wireless: Outcome) -> None:
    connections = "NetworkManager/system-connections"
    assert "type=bridge\ninterface-name=br-lan\n" in wireless.text(f"{connections}/lan.nmconnection")
    port = wireless.text(f"{connections}/lan-port.nmconnection")
    assert "interface-name=eth0\nmaster=br-lan\nslave-type=bridge\n" in port
    assert "interface-name:wlan0" in wireless.text("NetworkManager/conf.d/modem-agent-wifi.conf")
    assert "interface=br-lan\n" in wireless.text("dnsmasq.d/modem-agent.conf")
    assert "systemctl enable hostapd@wlan0.service" in wireless.calls
    assert re.search(r"apt-get install .* hostapd\n", wireless.calls)


@pytest.mark.root
def test_dnsmasq_takes_the_addresses_of_both_families(wireless: Outcome, side: Path) -> None:
    dnsmasq = shutil.which("dnsmasq") or shutil.which("/usr/sbin/dnsmasq") or pytest.skip("dnsmasq: not installed")
    folder = wireless.etc / "dnsmasq.d"
    done = subprocess.run(
        [dnsmasq, "--test", f"--conf-dir={folder}", "--conf-file=/dev/null"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    prefix = re.search(
        r"^dhcp-range=(fd[0-9a-f:]+)::,ra-stateless,64,12h$", wireless.text("dnsmasq.d/modem-agent.conf"), re.MULTILINE
    )
    assert prefix is not None
    assert re.fullmatch(r"fd[0-9a-f]{2}:[0-9a-f]{4}:[0-9a-f]{4}", prefix[1])
    lan = wireless.text("NetworkManager/system-connections/lan.nmconnection")
    assert f"[ipv6]\nmethod=manual\naddress1={prefix[1]}::1/64\n" in lan
    assert "net.ipv6.conf.all.forwarding = 1" in wireless.text("sysctl.d/90-modem-agent.conf")


@pytest.mark.root
def test_without_them_there_is_neither(side: Path) -> None:
    done = run(side)
    assert not (done.etc / "hostapd/wlan0.conf").exists()
    assert "type=ethernet\ninterface-name=eth0\n" in done.text("NetworkManager/system-connections/lan.nmconnection")
    assert "[ipv6]\nmethod=link-local\n" in done.text("NetworkManager/system-connections/lan.nmconnection")
    assert "enable-ra" not in done.text("dnsmasq.d/modem-agent.conf")
    assert "ipv6" not in done.text("sysctl.d/90-modem-agent.conf")  # whatever else wants it has its own file
    assert "hostapd" not in done.calls


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--wifi", 'x"\nwpa=0'], "letters, digits, dots, hyphens and spaces within"),
        (["--wifi", " x"], "spaces within"),
        (["--wifi", "x" * 33], "32 characters at most"),
        (["--wifi", "x", "--wifi-key", "short"], "8 to 63 letters"),
        (["--wifi", "x", "--wifi-key", "with space in it"], "8 to 63 letters"),
        (["--wifi", "x", "--wifi-interface", "eth0"], "not the name of a radio"),
        (["--wifi", "x", "--wifi-interface", "wlan7"], "this machine has no wlan7"),
        (["--wifi", "x", "--country", "Belgium"], "two capital letters"),
        (["--broker", "broker.example"], "mqtts://HOST:8883"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_changed(side: Path, words: list[str], said: str) -> None:
    done = run(side, *words)
    assert (done.status, changed(done)) == (1, False), done.said
    assert said in done.said


@pytest.mark.root
def test_a_second_run_keeps_key_and_prefix_and_one_without_wifi_takes_it_away(side: Path, wireless: Outcome) -> None:
    kept = {place: wireless.text(place) for place in ("hostapd/wlan0.conf", "dnsmasq.d/modem-agent.conf")}
    shutil.copytree(wireless.etc, side / "before")
    again = run(side, "--wifi", "Chez nous 2", "--ipv6")
    assert {place: again.text(place) for place in kept} == kept
    ended = run(side)
    assert ended.status == 0, ended.said
    for place in ("hostapd/wlan0.conf", "NetworkManager/system-connections/lan-port.nmconnection"):
        assert not (ended.etc / place).is_file()
