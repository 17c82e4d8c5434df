"""Runs the CLI the way a shell does: its own process, pipes or a pseudo-terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli.times import ZONE
from agent.commands.rows import signal as signal_row
from agent.commands.rows import status as status_row
from agent.errors import Rejected
from tests.cli import sample
from tests.control.conftest import Table, serving

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Answers = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """A verb that a test runs in its own process shows times in its configuration's zone; the next test must not. Nor
    may a language stay in the environment, which the programs of other tests would speak."""
    before = os.environ.get("LANGUAGE")
    yield
    ZONE.reckon_by(str)
    assert os.environ.get("LANGUAGE") == before


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    """Run `modem-agent` with arguments; `env` adds to a plain environment without a locale."""

    def run(*arguments: str, env: dict[str, str] | None = None, **kwargs: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-m", "agent.cli", *arguments],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(tmp_path), **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            **kwargs,
        )

    return run


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[Answers]:
    """What the agent on tmp_path/control.sock answers, by command."""
    given: Answers = {"status": sample.status()}
    table = Table()

    def row(name: str) -> Callable[..., Any]:
        async def run(args: dict[str, Any], progress: Any) -> dict[str, Any]:
            return given[name]

        return run

    async def signal(args: dict[str, Any], progress: Any) -> dict[str, Any]:
        reading = given["status"]["modem"]["reading"]
        if reading is None:
            raise Rejected(status_row.NO_MODEM, "modem absent: nothing was read from it yet")
        return {"v": 1, "time": given["status"]["time"], **{name: reading.get(name) for name in signal_row.PARTS}}

    table.rows = {
        "status": ("read", row("status")),
        "usage": ("read", row("usage")),
        "config.get": ("read", row("config.get")),
        "modem.signal": ("read", signal),
    }
    with serving(tmp_path / "control.sock", table):
        yield given
