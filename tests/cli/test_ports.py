"""modem --ports: every port of every module, what it is, and what is left alone; with the agent dead too."""

from __future__ import annotations

import json
from pathlib import Path

from agent.cli.verbs.modem import port_lines
from agent.modem.discovery import Candidate, survey
from tests.cli.conftest import Run
from tests.modem.test_discovery import plug


def test_each_port_has_a_line_in_the_order_in_which_it_is_tried(tmp_path: Path) -> None:
    plug(tmp_path, "1-1", "2c7c", "0125", {n: f"ttyUSB{n}" for n in range(4)}, bound="option")
    plug(tmp_path, "1-2", "abcd", "0001", {0: "ttyUSB7"}, bound="qcserial")
    lines = [" ".join(line.split()) for line in port_lines(survey(tmp_path / "sys", Path("/dev")))]
    assert lines == [
        "Port USB If Driver What",
        "/dev/ttyUSB2 2c7c:0125 2 option AT, by the table",
        "/dev/ttyUSB3 2c7c:0125 3 option AT, by the table",
        "/dev/ttyUSB7 abcd:0001 0 qcserial not listed: asked with AT",
        "/dev/ttyUSB0 2c7c:0125 0 option diag, left alone",
        "/dev/ttyUSB1 2c7c:0125 1 option nmea, left alone",
    ]


def test_a_wwan_port_has_no_interface_number() -> None:
    lines = port_lines([Candidate("/dev/wwan0mbim0", kind="mbim", driver="wwan")])
    assert " ".join(lines[1].split()) == "/dev/wwan0mbim0 wwan mbim, left alone"


def test_nothing_on_this_machine_is_said_and_ends_with_no_modem(cli: Run, tmp_path: Path) -> None:
    done = cli("modem", "--ports", "--json", "--socket", str(tmp_path / "none.sock"))
    shown = json.loads(done.stdout)
    assert shown["tried"] == []
    assert done.returncode == (0 if shown["ports"] else 5)
