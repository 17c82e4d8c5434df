"""A device that has run goes on counting when its file is refused; one that has not is told what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config_start
from agent.errors import ConfigError


class Files:
    """A configuration file and the folder of the agent's state."""

    def __init__(self, folder: Path) -> None:
        self.file, self.state = folder / "config.toml", folder / "state"
        self.state.mkdir()

    def write(self, text: str) -> None:
        self.file.write_text(f'[device]\nstate_dir = "{self.state}"\n{text}')


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_right_file_is_what_counts_and_is_kept(files: Files) -> None:
    files.write('[wan]\ninterfaces = ["usb0"]\n')
    found = config_start.load(files.file)
    assert (found.wan.interfaces, found.problem, found.file) == (("usb0",), "", str(files.file))
    copy = files.state / config_start.LAST_GOOD
    assert copy.read_bytes() == files.file.read_bytes()
    assert copy.stat().st_mode & 0o077 == 0
    before = copy.stat().st_ino
    config_start.load(files.file)
    assert copy.stat().st_ino == before, "nothing is written where nothing changed"


@pytest.mark.parametrize("text", ['[wan]\ninterfaces = ["*"]\n', "[plan]\nbilling_day = 32\n", "[unknown]\n"])
def test_a_file_made_wrong_leaves_the_last_good_one(files: Files, text: str) -> None:
    files.write('[wan]\ninterfaces = ["usb0"]\n[plan]\nallowance_bytes = 20_000_000_000\n')
    config_start.load(files.file)
    files.write(text)
    found = config_start.load(files.file)
    assert (found.wan.interfaces, found.plan.allowance_bytes) == (("usb0",), 20_000_000_000)
    assert found.problem.startswith(f"{files.file}: ")
    assert found.file == str(files.state / config_start.LAST_GOOD)


def test_what_an_older_agent_took_is_used_as_far_as_it_makes_sense(files: Files) -> None:
    (files.state / config_start.DATABASE).touch()
    files.write('[wan]\ninterfaces = ["usb*", "*"]\n[plan]\nbilling_day = 15\nfull_down_bps = 8_000\n')
    found = config_start.load(files.file)
    assert (found.wan.interfaces, found.plan.billing_day) == (("usb*",), 15)
    assert "wan.interfaces" in found.problem
    files.write('[wan]\ninterfaces = ["*"]\n')
    assert config_start.load(files.file).wan.interfaces == ("wwan0",)
    files.write('[modem]\npower_gpio = "/sys/devices/x/value"\nbaud = 9600\n[household]\nled = "../x"\n')
    found = config_start.load(files.file)
    assert (found.modem.power_gpio, found.modem.baud, found.household.led) == ("", 9600, "")
    assert "modem.power_gpio" in found.problem


@pytest.mark.parametrize("text", ['[wan]\ninterfaces = ["*"]\n', "[plan]\nbilling_day = 32\n", "[plan"])
def test_a_device_that_has_never_run_starts_on_nothing_wrong(files: Files, text: str) -> None:
    files.write(text)
    with pytest.raises(ConfigError):
        config_start.load(files.file)


def test_a_disk_that_takes_nothing_keeps_nobody_from_starting(files: Files) -> None:
    files.write("")
    files.state.rmdir()
    files.state.write_text("a file where the folder should be")
    assert config_start.load(files.file).problem == ""
