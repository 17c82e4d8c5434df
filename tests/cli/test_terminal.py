"""The CLI on a real pseudo-terminal: the meter, questions, progress, Ctrl-C, narrow and dumb screens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli import exits
from agent.errors import PortAbsent
from tests.cli import sample
from tests.cli.terminal import Terminal, plain
from tests.control.conftest import Table, serving


class Agent(Table):
    """Answers for a module whose antenna is being turned."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = str(path)
        self.resets: list[dict[str, Any]] = []
        self.turn = 0
        self.rows = {
            "status": ("read", self._status),
            "modem.signal": ("read", self._signal),
            "modem.reset": ("act", self._reset_modem),
            "diag.ping": ("read", self._scan),
            "plan.topup": ("act", self._topup),
        }

    async def _status(self, args: dict[str, Any], progress: Any) -> Any:
        return sample.status()

    async def _signal(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        self.turn += 1
        if self.turn == 4:
            raise PortAbsent("the port went away")
        reading = sample.status()["modem"]["reading"]
        reading["signal"]["rsrp_dbm"] = -110 + self.turn
        return {"v": 1, **{n: reading[n] for n in ("signal", "registration", "operator", "access_technology")}}

    async def _reset_modem(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        progress(50, "waiting for the module")
        self.resets.append(args)
        return {"v": 1, "outcome": "the module is back"}

    async def _topup(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        return {"v": 1, "usage": {**sample.status()["usage"], "limit_bytes": 40_000_000_000 + args["bytes"]}}


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    table = Agent(tmp_path / "control.sock")
    with serving(tmp_path / "control.sock", table):
        yield table


def test_the_meter_draws_beeps_and_ends_with_ctrl_c(agent: Agent) -> None:
    with Terminal(["signal", "--watch", "--every", "0.5", "--beep", "--socket", agent.path]) as terminal:
        terminal.expect(r"RSRP -109 dBm weak")
        terminal.expect("\a")
        terminal.expect(r"RSRP -108 dBm weak")
        terminal.expect(r"! the port went away")
        terminal.expect(r"RSRP -105 dBm weak")
        terminal.interrupt()
        terminal.expect(r"best: RSRP -10\d dBm at \d\d:\d\d:\d\d")
        assert terminal.wait() == exits.OK
    assert "Traceback" not in terminal.seen


def test_the_meter_hides_the_cursor_and_gives_it_back(agent: Agent) -> None:
    with Terminal(["signal", "--watch", "--beats", "2", "--every", "0.5", "--socket", agent.path]) as terminal:
        assert terminal.wait() == exits.OK
        whole = terminal.seen
    assert whole.index("\x1b[?25l") < whole.index("\x1b[?25h")
    drawn = whole.split("\x1b[H")[-1]
    assert len(plain(drawn).split("Ctrl-C ends.")[0].splitlines()) <= 23
    assert max(len(line) for line in plain(drawn).splitlines()) <= 80


def test_a_low_window_keeps_the_values(agent: Agent) -> None:
    words = ["signal", "--watch", "--beats", "2", "--every", "0.5", "--socket", agent.path]
    with Terminal(words, rows=10) as terminal:
        assert terminal.wait() == exits.OK
        drawn = plain(terminal.seen.split("\x1b[H")[-1].split("\x1b[J")[0]).splitlines()
    assert len(drawn) == 9
    assert any(line.startswith("RSRP -108 dBm") for line in drawn)


def test_forty_columns(agent: Agent) -> None:
    for words in (
        ["status"], ["signal", "--watch", "--beats", "1"], ["--help"], ["signal", "--help"], ["signal"], ["modem"],
    ):  # fmt: skip
        more = [] if "--help" in words else ["--socket", agent.path]
        with Terminal([*words, *more], columns=40) as terminal:
            assert terminal.wait() == exits.OK, terminal.seen
        widest = max(plain(terminal.seen).splitlines(), key=len)
        assert len(widest) <= 40, (words, widest)


def test_a_dumb_terminal_gets_plain_lines(agent: Agent) -> None:
    words = ["signal", "--watch", "--beats", "5", "--every", "0.5", "--socket", agent.path]
    with Terminal(words, env={"TERM": "dumb"}) as terminal:
        assert terminal.wait() == exits.OK
    assert "\x1b" not in terminal.seen
    lines = [line for line in plain(terminal.seen).splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert len(lines) == 5
    assert "! the port went away" in lines[3]


def test_a_reset_asks_first_and_no_is_no(agent: Agent) -> None:
    with Terminal(["reset", "module", "--socket", agent.path]) as terminal:
        terminal.expect(r"(?s)restarts the module.*Go on\? \[y/N\] ")
        terminal.send("n\n")
        assert terminal.wait() == exits.FAILED
    assert agent.resets == []
    with Terminal(["reset", "module", "--socket", agent.path]) as terminal:
        terminal.expect(r"Go on\? \[y/N\] ")
        terminal.send("y\n")
        terminal.expect(r"50 %\s+waiting for the module")
        terminal.expect(r"the module is back")
        assert terminal.wait() == exits.OK
    assert agent.resets == [{"level": "module"}]


def test_ctrl_c_cancels_what_the_agent_does(agent: Agent) -> None:
    with Terminal(["ping", "192.0.2.1", "--socket", agent.path]) as terminal:
        terminal.expect(r"10 %\s+asking")
        terminal.expect(r"asking  [34] s")
        assert agent.running.wait(10)
        terminal.interrupt()
        terminal.expect("interrupted")
        assert terminal.wait() == exits.INTERRUPTED
    assert agent.cancelled.wait(10)


def test_a_topup_is_confirmed(agent: Agent) -> None:
    with Terminal(["topup", "2.5GB", "--socket", agent.path]) as terminal:
        terminal.expect(r"This adds 2\.50 GB to the present period\. Go on\? \[y/N\] ")
        terminal.send("yes\n")
        terminal.expect(r"Allowance now\s+42\.50 GB")
        assert terminal.wait() == exits.OK


def test_the_doctor_colours_on_a_terminal_only_and_folds(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[device]\nrun_dir = "{tmp_path}"\nstate_dir = "{tmp_path}"\n[modem]\nport = "{tmp_path}/none"\n'
        '[wan]\ninterfaces = ["nowan*"]\n[probe]\nhosts = []\nname_servers = ["127.0.0.1"]\n'
    )
    with Terminal(["doctor", "--config", str(file)]) as terminal:
        terminal.expect("\x1b\\[31mFAULT")
        assert terminal.wait() == exits.FAILED
    with Terminal(["doctor", "--config", str(file)], env={"NO_COLOR": "1"}, columns=40) as terminal:
        assert terminal.wait() == exits.FAILED
        assert "\x1b" not in terminal.seen
    shown = [line.rpartition("\r")[2] for line in terminal.seen.replace("\r\n", "\n").splitlines()]
    assert max(map(len, shown)) <= 40
    assert any(line.startswith("port          FAULT") for line in shown)
