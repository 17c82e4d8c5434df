"""status, usage and signal against a control socket that answers: what stands on the screen, and what in --json."""

from __future__ import annotations

import json
from pathlib import Path

from agent.cli import exits
from agent.cli.verbs.status import _broker
from agent.status_schema import Status
from tests.cli import sample
from tests.cli.conftest import Answers, Run


def test_status_fits_one_screen_and_says_all(cli: Run, tmp_path: Path, answers: Answers) -> None:
    done = cli("status", "--socket", str(tmp_path / "control.sock"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    for text in (
        "on for 3 d 11 h",
        "Quectel EC25",
        "Proximus, LTE, band 3",
        "fair (RSRP -94 dBm, RSRQ -9 dB, SINR 8.4 dB)",
        "52.3 %, 20.93 GB of 40.00 GB",
        "19.07 GB until",
        "full speed: 5 Mbit/s down, 2 Mbit/s up (52 % of the allowance used)",
        "Since 1 Nov 2026 00:00 at this speed",
        "Shaper works (cake)",
        "connected to broker.example:8883",
    ):
        assert text in " ".join(done.stdout.split()), text
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout


def test_status_json_is_the_schema_itself(cli: Run, tmp_path: Path, answers: Answers) -> None:
    done = cli("status", "--json", "--socket", str(tmp_path / "control.sock"))
    assert json.loads(done.stdout) == answers["status"]


def test_status_of_a_device_that_has_nothing_yet(cli: Run, tmp_path: Path, answers: Answers) -> None:
    session = {**sample.status()["session"], "connected": False, "broker": "", "since_boot_s": None}
    answers["status"] = sample.status(
        modem={"state": "absent", "reading": None},
        links=[],
        usage=None,
        period=None,
        plan=None,
        shaper=None,
        session=session,
        alarms=["shaper"],
        faults={"task.modem": 3},
        store="read-only",
        clk="unsync",
    )
    done = cli("status", "--socket", str(tmp_path / "control.sock"))
    assert done.returncode == 0, done.stderr
    for text in ("absent", "no WAN interface", "none configured", "task.modem 3", "read-only", "not trusted"):
        assert text in done.stdout
    assert "None" not in done.stdout


def test_an_operator_name_cannot_move_the_cursor(cli: Run, tmp_path: Path, answers: Answers) -> None:
    answers["status"]["modem"]["reading"]["operator"]["name"] = "Evil\x1b[2J\r\nNet"
    done = cli("status", "--socket", str(tmp_path / "control.sock"))
    assert "\x1b" not in done.stdout
    assert "Evil\\x1b[2J" in done.stdout


def test_usage_and_signal(cli: Run, tmp_path: Path, answers: Answers) -> None:
    whole = sample.status()
    answers["usage"] = {name: whole[name] for name in ("v", "time", "clk", "usage", "period", "plan")}
    done = cli("usage", "--socket", str(tmp_path / "control.sock"))
    assert done.returncode == 0, done.stderr
    assert "20.93 GB of 40.00 GB" in done.stdout
    assert "[##########" in done.stdout
    done = cli("signal", "--socket", str(tmp_path / "control.sock"))
    assert done.returncode == 0, done.stderr
    assert "RSRP -94 dBm fair" in " ".join(done.stdout.split())
    answers["status"] = sample.status(modem={"state": "absent", "reading": None})
    done = cli("signal", "--json", "--socket", str(tmp_path / "control.sock"))
    assert done.returncode == exits.NO_MODEM
    assert json.loads(done.stdout)["error"]["name"] == "modem-absent"


def test_without_an_agent_it_says_so(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[device]\nrun_dir = "{tmp_path}/run"\nstate_dir = "{tmp_path}/state"\n')
    done = cli("signal", "--config", str(file))
    assert done.returncode == exits.NOT_RUNNING
    assert done.stderr.count("\n") == 1
    assert "the agent is not running" in done.stderr


def test_how_long_the_devices_certificate_lasts() -> None:
    def words(ends: str | None) -> str:
        status: Status = sample.status(session={**sample.status()["session"], "certificate_ends": ends})
        return _broker({**status, "time": "2026-11-30T00:00:00Z"}).partition("; ")[2]

    told = [words(ends) for ends in (None, "2026-11-29T00:00:00Z", "2027-01-01T12:00:00Z")]
    assert told == ["", "certificate for 0 more days", "certificate for 32 more days"]
