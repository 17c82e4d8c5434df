"""The distribution `modem-sim`: what is in it, that it needs no agent, and that its man page is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click

from simulator.cli import VERBS
from simulator.cli import command as main
from simulator.ports.actions import ACTIONS
from simulator.toml_lines import tomllib
from simulator.verbs import serve
from simulator.version import VERSION

ROOM = Path("simulator")
PROJECT = tomllib.loads((ROOM / "pyproject.toml").read_text())
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
# Its modules, and what serve, ctl, learn, replay and the fixture come to import.
USE = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("agent", "paho", "pyroute2", "amqtt", "rich", "matplotlib"):
            raise ModuleNotFoundError(name, name=name)
        if name.startswith("simulator.") and name.split(".")[1] not in {parts!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Nothing())
import importlib, simulator, simulator.fixture
from simulator.cli import VERBS
for verb in {verbs!r}:
    importlib.import_module(VERBS[verb][0])
from simulator.capture import SerialLine, capture, data_file
with simulator.serve("simcom-sim7600", pace=0.01) as running, SerialLine(running.path) as line:
    print("extends" in data_file(capture(line)))
"""
IN_IT = ("serve", "ctl", "learn", "replay", "profiles")


def test_what_is_in_it_runs_without_the_agent() -> None:
    parts = {Path(name).stem for name in WHEEL["force-include"]}
    code = USE.format(parts=parts, verbs=IN_IT)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_all_that_it_names_is_there_and_put_in_its_place() -> None:
    for source, place in {**WHEEL["force-include"], **WHEEL["shared-data"]}.items():
        assert (ROOM / source).exists()
        assert place in (f"simulator/{source}", f"share/man/man1/{source}")
    agent = tomllib.loads(Path("pyproject.toml").read_text())
    plugin = agent["project"]["entry-points"]["pytest11"]
    assert PROJECT["project"]["entry-points"]["pytest11"] == plugin
    contract = next(c for c in agent["tool"]["importlinter"]["contracts"] if "nothing of the agent" in c["name"])
    modules = {f"simulator.{Path(name).stem}" for name in WHEEL["force-include"]} - {
        "simulator.__init__",
        "simulator.py",
    }
    assert modules == set(contract["source_modules"])


def test_the_man_page_names_every_verb_and_option() -> None:
    page = (ROOM / "modem-sim.1").read_text().replace("\\-", "-")
    assert f"modem-sim {VERSION}" in page
    verbs = set(re.findall(r"^\.B (\w+)$", page, re.MULTILINE))
    assert verbs >= set(IN_IT)
    assert verbs <= set(VERBS)
    named = set(re.findall(r"--[a-z-]+", page))
    known = {name for option in serve.command.params for name in option.opts if isinstance(option, click.Option)}
    for verb in IN_IT:
        found = main.get_command(click.Context(main), verb)
        assert found is not None
        known |= {name for option in found.params for name in option.opts}
    assert named <= known | {"--help"}


def test_the_readme_has_every_action_as_the_program_has_it() -> None:
    readme = (ROOM / "README.md").read_text()
    for name, action in ACTIONS.items():
        assert f"| `{f'{name} {action.words}'.strip()}` | {action.help} |" in readme
