"""The Raspberry Pi script on the root of an image: what it leaves is read by the programs that it is for."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.qemu import GuestUnavailable
from simulator.qemu.image import base_root, build_package, in_root
from tests.packaging.conftest import PROJECT

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]
SCRIPT = PROJECT / "firmware-config/raspberry-pi/setup.sh"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stock Debian root, as an image's would be mounted."""
    if os.geteuid() != 0:
        pytest.skip("root: chroot needs it")
    folder = tmp_path_factory.mktemp("pi")
    try:
        subprocess.run(["cp", "-a", "--reflink=auto", str(base_root()), str(folder / "root")], check=True)
    except GuestUnavailable as reason:
        pytest.skip(f"mmdebstrap: {reason}")
    (folder / "root/usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (folder / "root/usr/sbin/policy-rc.d").chmod(0o755)
    (folder / "root/etc/fstab").write_text(
        "proc /proc proc defaults 0 0\n"
        "PARTUUID=1-01 /boot/firmware vfat defaults 0 2\n"
        "PARTUUID=1-02 / ext4 defaults,noatime 0 1\n"
    )
    (folder / "root/boot/firmware").mkdir(parents=True)
    (folder / "root/boot/firmware/config.txt").write_text("dtparam=audio=on\n")
    yield folder / "root"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_package(tmp_path_factory.mktemp("deb"))


def script(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *map(str, words)], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def done(root: Path, package: Path) -> Path:
    words = ["--root", root, "--package", package, "--no-packages", "--link", "ecm", "--apn", "internet"]
    for _ in range(2):  # the second time changes nothing
        result = script(*words, "--broker", "mqtt://broker.example:1883", "--read-only", "/dev/mmcblk0p3")
        assert result.returncode == 0, result.stdout + result.stderr
    return root


def test_the_agent_takes_its_configuration(done: Path) -> None:
    shown = in_root(done, "modem-agent", "config", "show")
    assert 'url = "mqtt://broker.example:1883"' in shown
    assert 'interfaces = ["wwan*"]' in shown
    config = done / "etc/modem-agent/config.toml"
    assert config.stat().st_mode & 0o777 == 0o640
    assert config.stat().st_gid == int(in_root(done, "getent", "group", "modem-agent").split(":")[2])


def test_nftables_takes_the_rules(done: Path) -> None:
    """Checked by nft itself, in a network namespace of its own."""
    subprocess.run(["unshare", "-n", "chroot", str(done), "nft", "-c", "-f", "/etc/nftables.conf"], check=True)
    assert (done / "etc/nftables.conf").read_text().count("nftables.d") == 1


def test_the_root_is_read_only_and_the_state_has_its_partition(done: Path) -> None:
    rows = [line.split() for line in (done / "etc/fstab").read_text().splitlines()]
    by_place = {row[1]: row for row in rows}
    assert "ro" in by_place["/"][3].split(",")
    assert by_place["/boot/firmware"][3] == "defaults"
    assert by_place["/var/lib/modem-agent"][0] == "/dev/mmcblk0p3"
    assert by_place["/var/log"][0] == "tmpfs"
    assert len(rows) == len(by_place), "a line stands there twice"


def test_secrets_are_for_root_and_the_watchdog_is_on(done: Path) -> None:
    for name in ("mobile", "lan"):
        file = done / f"etc/NetworkManager/system-connections/{name}.nmconnection"
        assert file.stat().st_mode & 0o777 == 0o600
    assert (done / "boot/firmware/config.txt").read_text().count("dtparam=watchdog=on") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--apn", "x"], "--package is missing"),
        (["--package", "/nowhere.deb", "--apn", "x"], "/nowhere.deb cannot be read"),
        (["--package", str(SCRIPT)], "--apn is missing"),
        (["--package", str(SCRIPT), "--apn", "x;reboot"], "letters, digits, dots and hyphens"),
        (["--package", str(SCRIPT), "--apn", "x", "--address", "here"], "not an IPv4 address"),
        (["--package", str(SCRIPT), "--apn", "x", "--link", "wifi"], "modemmanager or ecm"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_changed(words: list[str], said: str, tmp_path: Path) -> None:
    result = script("--root", tmp_path, *words)
    assert result.returncode == 1
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []
