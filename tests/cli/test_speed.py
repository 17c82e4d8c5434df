"""`speed`: the operator's own server, the household's bytes left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli import exits
from tests.cli.conftest import Run
from tests.cli.screen_device import Device
from tests.control.conftest import serving


@pytest.mark.parametrize(
    ("words", "asked"), [((), 5_000_000), (("--size", "10MB"), 10_000_000), (("--size", "500 kB"), 500_000)]
)
def test_it_asks_the_configured_server(cli: Run, tmp_path: Path, words: tuple[str, ...], asked: int) -> None:
    socket = tmp_path / "control.sock"
    with serving(socket, Device()):
        done = cli("speed", *words, "--json", "--socket", str(socket))
    assert done.returncode == exits.OK, done.stderr
    answer = json.loads(done.stdout)
    assert answer["down_bytes"] == asked
    assert answer["down_bps"] == 4_712_345


def test_without_a_server_it_says_which_key_is_missing(cli: Run, tmp_path: Path) -> None:
    socket, device = tmp_path / "control.sock", Device()
    device.speed_url = ""
    with serving(socket, device):
        done = cli("speed", "--socket", str(socket))
    assert done.returncode == exits.FAILED
    assert "set probe.speed_url" in done.stderr
    assert [name for name, *_ in device.asked] == ["config.get", "status"]


def test_a_wrong_amount_is_said_before_anything_is_asked(cli: Run, tmp_path: Path) -> None:
    device = Device()
    with serving(tmp_path / "control.sock", device):
        done = cli("speed", "--size", "much", "--socket", str(tmp_path / "control.sock"))
    assert done.returncode == exits.USAGE
    assert device.asked == []
