"""setup: the file that it writes is the one that the agent reads, and what it must not lose stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config
from agent.cli.verbs.setup import links
from tests.cli.conftest import Run


def test_flags_become_a_configuration_that_passes(cli: Run, tmp_path: Path) -> None:
    file, ca = tmp_path / "config.toml", tmp_path / "ca.pem"
    ca.write_text("certificate")
    done = cli(
        "setup", "--yes", "--no-doctor", "--config", str(file), "--broker", "mqtts://broker.example:8883",
        "--ca", str(ca), "--apn", "internet", "--wan", "wwan0", "--wan", "usb*", "--billing-day", "15",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = config.load(file)
    assert found.operator.url == "mqtts://broker.example:8883"
    assert found.operator.ca_file == str(ca)
    assert (found.modem.apn, found.wan.interfaces, found.plan.billing_day) == ("internet", ("wwan0", "usb*"), 15)
    assert file.stat().st_mode & 0o007 == 0


def test_what_the_file_said_before_stays_and_the_old_file_is_kept(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    before = (
        '# mine\n[plan]\nallowance_bytes = 20_000_000_000\n\n[[plan.steps]]\nat_percent = 90\n[log]\nlevel = "debug"\n'
    )
    file.write_text(before)
    file.chmod(0o600)
    assert cli("setup", "--yes", "--no-doctor", "--config", str(file), "--apn", "x").returncode == 0
    found = config.load(file)
    assert found.plan.allowance_bytes == 20_000_000_000
    assert [step.at_percent for step in found.plan.steps] == [90]
    assert (found.log.level, found.modem.apn) == ("debug", "x")
    assert (tmp_path / "config.toml.before-setup").read_text() == before
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--broker", "broker.example"], "operator.url: not allowed (found 'broker.example'); allowed: mqtts://HOST"),
        (["--billing-day", "32"], "plan.billing_day: out of range (found 32); allowed: 1 to 31"),
        (["--ca", "/nowhere/ca.pem"], "/nowhere/ca.pem cannot be read"),
        (["--wan", "a-name-far-too-long"], "wan.interfaces: not allowed"),
    ],
)
def test_a_wrong_answer_writes_nothing(cli: Run, tmp_path: Path, flags: list[str], said: str) -> None:
    file = tmp_path / "config.toml"
    done = cli("setup", "--yes", "--no-doctor", "--config", str(file), *flags)
    assert done.returncode == 2
    assert said in done.stderr
    assert not file.exists()


def test_it_ends_as_doctor_does(cli: Run, tmp_path: Path) -> None:
    """No agent, no modem and no link on this machine: doctor finds a fault and says so."""
    file = tmp_path / "config.toml"
    file.write_text(
        f'[device]\nrun_dir = "{tmp_path}/run"\nstate_dir = "{tmp_path}/state"\n[wan]\ninterfaces=["none9"]\n'
        '[probe]\nhosts = ["127.0.0.1:9"]\nname_servers = ["127.0.0.1"]\n'
    )
    done = cli("setup", "--yes", "--config", str(file))
    assert "written and checked" in done.stdout
    assert "Root cause" in done.stdout
    assert done.returncode == 1


def test_mobile_links_are_told_from_others(tmp_path: Path) -> None:
    for name, uevent, device in (
        ("eth0", "INTERFACE=eth0\n", True),
        ("lo", "", False),
        ("wwan0", "DEVTYPE=wwan\n", True),
        ("usb0", "", True),
        ("mobile", "DEVTYPE=wwan\nINTERFACE=mobile\n", True),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "uevent").write_text(uevent)
        if device:
            (tmp_path / name / "device").mkdir()
    assert links(tmp_path) == ["mobile", "usb0", "wwan0"]
