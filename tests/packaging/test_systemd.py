"""The systemd files: systemd itself reads them, and says how exposed the service is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.support.cli import group
from agent.support.office.cli import office

from .conftest import PROJECT

SYSTEMD = PROJECT / "systemd"
OFFICE = PROJECT / "firmware-config" / "office"
UNITS = (
    *("modem-agent.service", "modem-agent-page.service"),
    *("modem-agent-reboot.path", "modem-agent-reboot.service"),
    *("modem-agent-dnsmasq.path", "modem-agent-dnsmasq.service"),
    *("modem-agent-update.path", "modem-agent-update.service"),
)


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name}: not installed")
    return found


def test_exposure_is_at_most_two() -> None:
    command = [
        tool("systemd-analyze"),
        "security",
        "--offline=true",
        "--no-pager",
        str(SYSTEMD / "modem-agent.service"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = re.search(r"Overall exposure level for modem-agent.service: ([\d.]+)", result.stdout)
    assert found is not None, result.stderr
    assert float(found[1]) <= 2.0


def test_systemd_understands_every_line() -> None:
    units = [*(str(SYSTEMD / unit) for unit in UNITS), str(OFFICE / "modem-office.service")]
    command = [tool("systemd-analyze"), "verify", "--man=no", *units]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    # That the executable is not installed here is no fault of the unit.
    ours = [line for line in result.stderr.splitlines() if "modem-agent" in line or "modem-office" in line]
    assert [line for line in ours if "is not executable" not in line] == []


def test_the_office_reads_what_its_environment_sets() -> None:
    given = dict(line.split("=", 1) for line in (OFFICE / "environment").read_text().splitlines() if line[0] != "#")
    read = {str(option.envvar) for command in (group, office) for option in command.params if option.envvar}
    assert set(given) <= read
    assert "EnvironmentFile=/etc/modem-office/environment\n" in (OFFICE / "modem-office.service").read_text()


def test_the_service_never_gives_up_and_is_watched() -> None:
    text = (SYSTEMD / "modem-agent.service").read_text()
    for line in ("Type=notify", "WatchdogSec=60", "Restart=always", "StartLimitIntervalSec=0", "User=modem-agent"):
        assert re.search(rf"^{re.escape(line)}$", text, re.MULTILINE), line
    bounding = re.findall(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE)
    assert bounding == ["CAP_NET_ADMIN"]


def test_sysusers_makes_the_user_with_the_serial_ports_group(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("dialout:x:20:\n")
    command = [tool("systemd-sysusers"), f"--root={tmp_path}", str(SYSTEMD / "modem-agent.sysusers")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert re.search(
        r"^modem-agent:x:\d+:\d+:.*:/var/lib/modem-agent:/usr/sbin/nologin$", _read(tmp_path, "passwd"), re.M
    )
    assert "dialout:x:20:modem-agent" in _read(tmp_path, "group")


def _read(root: Path, name: str) -> str:
    return (root / "etc" / name).read_text()


def test_a_module_that_is_plugged_in_later_may_be_opened() -> None:
    """systemd looks a terminal's kind up when the unit starts: its driver must have been loaded by then."""
    allowed = re.findall(r"^DeviceAllow=char-(\w+)", (SYSTEMD / "modem-agent.service").read_text(), re.MULTILINE)
    loaded = (SYSTEMD / "modem-agent.modules-load").read_text().split()
    drivers = {"ttyUSB": "usbserial", "ttyACM": "cdc_acm"}
    for kind in set(allowed) & set(drivers):
        assert drivers[kind] in loaded
    assert set(drivers) <= set(allowed)
