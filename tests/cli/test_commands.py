"""`commands`: the table, and any row of it with its arguments by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli import exits
from agent.commands.table import COMMANDS
from tests.cli.conftest import Run
from tests.cli.terminal import Terminal
from tests.control.conftest import Table, serving


class Agent(Table):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[dict[str, Any]] = []
        self.rows = {name: ("read", self._take) for name in ("diag.traceroute", "modem.scan", "diag.ping")}

    async def _take(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        progress(40, "searching")
        self.given.append(args)
        return {"v": 1, "networks": [{"name": "Caf\u00e9\x1b[2J"}]}


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[Agent, str]]:
    table = Agent()
    with serving(tmp_path / "control.sock", table):
        yield table, str(tmp_path / "control.sock")


def test_the_table(cli: Run) -> None:
    text = cli("commands").stdout
    rows = {row["name"]: row for row in json.loads(cli("commands", "--json").stdout)["commands"]}
    assert set(rows) == set(COMMANDS)
    assert all(name in text for name in rows)
    assert max(map(len, text.splitlines())) <= 80
    assert rows["plan.topup"]["role"] == "act"


def test_a_row_by_its_name(cli: Run, agent: tuple[Agent, str]) -> None:
    table, path = agent
    done = cli("commands", "diag.traceroute", "host=192.0.2.1", "hops=5", "--socket", path)
    assert done.returncode == 0, done.stderr
    assert table.given == [{"host": "192.0.2.1", "hops": 5}]
    assert "\x1b" not in done.stdout
    assert "searching (40 %)" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["modem.dance"], "there is no command 'modem.dance'"),
        (["diag.ping", "hots=1"], "'hots=1' is no argument of diag.ping; allowed: host=..., count=..."),
        (["diag.ping", "host"], "'host' is no argument of diag.ping"),
        (["diag.ping", "host=a", "count=many"], "count=many: must be of type integer"),
    ],
)
def test_what_is_no_command_or_argument(cli: Run, words: list[str], sentence: str) -> None:
    done = cli("commands", *words)
    assert done.returncode == exits.USAGE
    assert sentence in done.stderr


def test_what_acts_asks_first(cli: Run, agent: tuple[Agent, str]) -> None:
    table, path = agent
    done = cli("commands", "modem.scan", "--socket", path, "--json")
    assert done.returncode == exits.USAGE
    assert json.loads(done.stdout)["error"]["code"] == exits.USAGE
    assert "say --yes" in done.stderr
    with Terminal(["commands", "modem.scan", "--socket", path]) as terminal:
        terminal.expect(r"(?s)the line is away.*\[y/N\] ")
        terminal.send("y\n")
        terminal.expect("networks")
        assert terminal.wait() == 0
    assert table.given == [{}]
