"""modem-sim from the shell: its verbs, what they import, and what they say when something is wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from simulator.cli import VERBS, command
from simulator.ports import ask
from simulator.toml_lines import tomllib
from simulator.verbs import ctl, profiles
from simulator.version import VERSION


def test_help_lists_the_verbs_without_importing_them() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from simulator.cli import command; "
        "print(CliRunner().invoke(command, ['--help']).output); "
        "print([n for n in ('amqtt', 'matplotlib', 'paho', 'pyroute2', 'simulator.fleet.fleet') if n in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
    for verb in ("serve", "ctl", "run", "profiles", "fleet"):
        assert f"  {verb}" in said
        assert VERBS[verb][1] in said


def test_the_version_is_that_of_both_distributions() -> None:
    assert CliRunner().invoke(command, ["--version"]).output == f"modem-sim {VERSION}\n"
    agent = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    assert agent == VERSION


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("rich", ["demo"]),
        ("agent", ["run", "tunnel"]),
        ("paho", ["fleet", "--devices", "1"]),
        ("serial", ["learn", "/dev/null"]),
    ],
)
def test_a_missing_package_is_named_in_one_line(package: str, words: list[str]) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from simulator.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (f"modem-sim: this needs {package}, which is not installed: pip install 'modem-agent[sim]'\n")


def test_a_verb_that_is_not_in_this_installation_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERBS, "demo", ("simulator.no_such.cli", ""))
    done = CliRunner().invoke(command, ["demo"])
    assert str(done.exception) == "demo comes with the agent: pip install 'modem-agent[sim]'"
    assert "demo" not in CliRunner().invoke(command, ["--help"]).output


def test_an_unknown_verb_is_a_usage_error() -> None:
    assert CliRunner().invoke(command, ["dance"]).exit_code == 2


def test_profiles_lists_and_checks(tmp_path: Path) -> None:
    listed = CliRunner().invoke(profiles.command, [])
    assert listed.exit_code == 0
    assert "quectel-ec25" in listed.output
    assert "2c7c:0125" in listed.output
    broken = tmp_path / "mine.toml"
    broken.write_text('manufacturer = "A"\nmodel = "B"\nrevision = "1"\n[[rule]]\ncommand = "AT("\n')
    done = subprocess.run(
        [sys.executable, "-c", "from simulator.cli import main; main()", "profiles", str(broken)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"modem-sim: {broken}:5: command is no regular expression")


def test_ctl_without_a_simulator_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(ctl.command, ["--control", str(tmp_path / "none"), "status"])
    assert done.exit_code == 1
    assert "no simulator answers there" in str(done.exception)


def test_serve_runs_until_it_is_told_to_stop_and_cleans_up(tmp_path: Path) -> None:
    link, control = tmp_path / "modem0", tmp_path / "control.sock"
    words = ["serve", "--link", str(link), "--control", str(control), "--count", "2", "--fault", "crcrlf"]
    words += ["--set", "rsrp=-101", "--clock", "2027-01-31T23:59:50+01:00", "--every-port"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from simulator.cli import main; main()", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"Quectel EC25 on {link};")
        deadline = time.monotonic() + 10
        while not (tmp_path / "control.sock.1").exists() and time.monotonic() < deadline:
            time.sleep(0.02)  # another process's start cannot be awaited otherwise
        status = ask(str(control), ["status"])
        assert status["rsrp_dbm"] == -101
        assert status["clock"].startswith("2027-01-31T22:59:5")
        assert status["faults"] == ["crcrlf"]
        assert (tmp_path / "modem0.1-nmea").is_symlink()
        assert Path(f"{link}.1").is_symlink()
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.communicate()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--set", "rsrp"], ["--profile", "nokia"], ["--fault", "flood"]])
def test_serve_refuses_what_it_cannot_do(tmp_path: Path, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from simulator.cli import main; main()", "serve",
         "--link", str(tmp_path / "m"), "--control", str(tmp_path / "c"), *words],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert words[1] in done.stderr
    assert list(tmp_path.iterdir()) == []
