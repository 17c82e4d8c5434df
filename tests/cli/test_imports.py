"""What a verb may import: a technician waits for every module. An allow-list, so that a new one is a decision."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Answers

# Each costs more than 10 ms on a desktop and ten times that on a router.
HEAVY = {
    "asyncio", "serial", "sqlite3", "paho", "pyroute2", "ssl", "subprocess", "logging", "http", "email", "ctypes",
    "multiprocessing", "pathlib", "shutil", "zoneinfo",
    "concurrent", "unittest", "hypothesis", "agent.config", "agent.plan", "agent.commands",
    "agent.store", "agent.modem", "agent.traffic", "agent.mqtt", "agent.daemon", "agent.at",
}  # fmt: skip
AGENT = {
    "agent", "agent.errors", "agent.cli", "agent.cli.exits", "agent.cli.group", "agent.cli.screen", "agent.cli.verb",
    "agent.cli.verbs", "agent.cli.times", "agent.cli.language", "agent.sentence",
    "agent.control", "agent.control.client", "agent.control.protocol", "agent.quality",
}  # fmt: skip
ZONES = os.path.isfile("/usr/share/zoneinfo/Europe/Brussels")  # else the plan's own rule for the zone is used

SCRIPT = """
import sys
from agent.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
print(" ".join(sys.modules), file=sys.stderr)
"""


def modules(*words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = set(done.stderr.splitlines()[-1].split())
    return found if ZONES else {name for name in found if not name.startswith("agent.plan")}


def brought_by_click() -> set[str]:
    """Not ours to choose: on Python 3.10 click's newer versions bring subprocess, by way of uuid."""
    code = "import sys, click; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_help_imports_no_verb() -> None:
    got = modules("--help")
    assert not got & HEAVY
    assert "click" not in got  # two thirds of what a verb's start-up takes
    assert {m for m in got if m.startswith("agent")} <= {
        "agent",
        "agent.cli",
        "agent.cli.exits",
        "agent.cli.language",
        "agent.cli.screen",
        "agent.errors",
        "agent.sentence",
    }


@pytest.mark.parametrize(
    ("words", "own"),
    [
        (["status"], {"agent.cli.verbs.status"}),
        (["status", "--json"], {"agent.cli.verbs.status"}),
        (["usage", "--json"], {"agent.cli.verbs.usage", "agent.cli.plot", "agent.plan"}),  # the plan's own forecast
        (["signal"], {"agent.cli.verbs.signal", "agent.cli.verbs.status"}),
        (["modem"], {"agent.cli.verbs.modem"}),
    ],
)
def test_a_looking_verb_imports_what_it_needs(
    tmp_path: Path,
    answers: Answers,
    words: list[str],
    own: set[str],
) -> None:
    whole = answers["status"]
    answers["usage"] = {name: whole[name] for name in ("v", "time", "clk", "usage", "period", "plan")}
    got = modules(*words, "--socket", str(tmp_path / "control.sock"))
    heavy = got & HEAVY - own
    assert not heavy or not heavy - brought_by_click(), heavy
    rooms = {name + "." for name in own & HEAVY}
    assert {m for m in got if m.startswith("agent") and not m.startswith(tuple(rooms))} <= AGENT | own
