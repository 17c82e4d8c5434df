"""pin: asked unseen, kept for the agent alone, and what the agent made of it is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent import config
from agent.cli.verbs import pin
from tests.cli.conftest import Run
from tests.control.conftest import Table, serving


def modem(state: str, word: str = "") -> dict[str, Any]:
    return {"modem": {"state": "ready", "reading": {"sim": {"state": state}}, "pin": word}, "version": "x"}


@contextmanager
def agent(folder: Path, *answers: dict[str, Any]) -> Iterator[Table]:
    """A running agent whose status is each of these in turn, the last for ever."""
    table, left = Table(), list(answers)

    async def status(args: dict[str, Any], progress: Any) -> dict[str, Any]:
        return left.pop(0) if len(left) > 1 else left[0]

    async def restart(args: dict[str, Any], progress: Any) -> dict[str, Any]:
        return {"v": 1}

    table.rows |= {"status": ("read", status), "agent.restart": ("act", restart)}
    (folder / "run").mkdir(exist_ok=True)
    with serving(folder / "run" / "control.sock", table):
        yield table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f'[device]\nrun_dir = "{tmp_path}/run"\n[modem]\npin_file = "{tmp_path}/sim-pin"\n')
    return path


def test_the_pin_is_written_for_the_agent_alone_and_the_result_told(cli: Run, tmp_path: Path, file: Path) -> None:
    with agent(tmp_path, modem("SIM PIN"), modem("READY")) as table:
        done = cli("pin", "--config", str(file), input="4711\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/sim-pin: written\nSIM READY\n"
    assert (tmp_path / "sim-pin").read_text() == "4711\n"
    assert (tmp_path / "sim-pin").stat().st_mode & 0o777 == 0o640
    assert "4711" not in done.stdout + done.stderr
    assert not any(name == "agent.restart" for name, _, _ in table.asked)  # the file is read at the next look


def test_a_refusal_is_told_with_its_reason(cli: Run, tmp_path: Path, file: Path) -> None:
    with agent(tmp_path, modem("SIM PIN"), modem("SIM PIN", "only 1 attempt left, which is kept for a person")):
        done = cli("pin", "--json", "--config", str(file), input="4711\n")
    assert done.returncode == 1
    assert json.loads(done.stdout)["reason"].startswith("only 1 attempt left")


def test_a_first_pin_is_named_in_the_configuration_and_the_agent_restarted(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[device]\nrun_dir = "{tmp_path}/run"\n')
    with agent(tmp_path, modem("SIM PIN"), modem("READY")) as table:
        assert cli("pin", "--config", str(path), input="0000\n").returncode == 0
    assert config.load(path).modem.pin_file == str(tmp_path / "pin")
    assert "agent.restart" in [name for name, _, _ in table.asked]


def test_without_an_agent_the_file_waits(cli: Run, tmp_path: Path, file: Path) -> None:
    done = cli("pin", "--config", str(file), input="4711\n")
    assert done.returncode == 0
    assert "enters the PIN when it starts" in done.stdout


@pytest.mark.parametrize("given", ["", "12", "123456789", "12a4", "１２３４"])
def test_what_is_no_pin_writes_nothing(given: str, cli: Run, tmp_path: Path, file: Path) -> None:
    (tmp_path / "sim-pin").write_text("4711\n")
    done = cli("pin", "--config", str(file), input=given + "\n")
    assert done.returncode == 2
    assert "a PIN has 4 to 8 digits" in done.stderr
    assert (tmp_path / "sim-pin").read_text() == "4711\n"


def test_it_is_not_shown_while_it_is_typed(tmp_path: Path, file: Path) -> None:
    """On a terminal: what comes back is the question alone."""
    far, near = os.openpty()
    words = [sys.executable, "-m", "agent.cli", "pin", "--config", str(file)]
    with subprocess.Popen(words, stdin=near, stdout=near, stderr=near, start_new_session=True) as process:
        os.close(near)
        shown = b""
        while b"PIN of the SIM" not in shown:
            shown += os.read(far, 1024)
        os.write(far, b"4711\n")
        while process.poll() is None:
            try:
                shown += os.read(far, 1024)
            except OSError:  # the far side has gone
                break
    os.close(far)
    assert b"4711" not in shown
    assert (tmp_path / "sim-pin").read_text() == "4711\n"


def test_an_old_word_of_the_agent_is_not_taken_for_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """The word about the PIN before this one stands until the agent has looked again."""
    clock, old, new = [0.0], "the SIM refused this PIN; it is not tried again", "this PIN was tried before"

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr("agent.cli.verbs.pin.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("agent.cli.verbs.pin.time.sleep", sleep)
    monkeypatch.setattr(pin, "_modem", lambda call: modem("SIM PIN", old if clock[0] < 30 else new)["modem"])
    assert pin._wait(None, old) == ("SIM PIN", new)  # type: ignore[arg-type]  # the call is not used
    assert clock[0] >= 30
