"""modem-sim: the simulator's command line. Each verb's module is imported only when the verb is used."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from simulator.errors import SimulatorError
from simulator.version import VERSION

# verb -> module with a click command called `command`, and the line for --help.
VERBS = {
    "serve": ("simulator.verbs.serve", "a simulated module on a pty, TCP or unix socket"),
    "ctl": ("simulator.verbs.ctl", "change a running module: set, unplug, fault, clock and more"),
    "replay": ("simulator.verbs.replay", "what a host once wrote, to a module again; says what is answered otherwise"),
    "learn": ("simulator.verbs.learn", "a real module's answers as a data file, its numbers replaced"),
    "run": ("simulator.scenarios.cli", "play a scenario and print its timeline"),
    "profiles": ("simulator.verbs.profiles", "the modules that can be simulated; check a data file"),
    "fleet": ("simulator.fleet.cli", "many virtual devices against a broker"),
    "demo": ("simulator.demo.cli", "the whole agent on real traffic in three network namespaces"),
    "qemu": ("simulator.qemu.cli", "a whole device under QEMU"),
}


class Verbs(click.Group):
    """Looks verbs up when they are asked for: `modem-sim serve` never pays for the demo's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, (module, _) in VERBS.items() if _exists(module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module, _ = VERBS.get(cmd_name, ("", ""))
        if not module:
            return None
        if not _exists(module):
            raise SimulatorError(f"{cmd_name} comes with the agent: {_INSTALL}")
        found = importlib.import_module(module).command
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, VERBS[name][1]) for name in self.list_commands(ctx)])


def _exists(module: str) -> bool:
    """Looked up as a file: find_spec would import the package around it."""
    return Path(__file__).parent.parent.joinpath(*module.split(".")).with_suffix(".py").exists()


# Packages that some verbs need and that are not there when the simulated module is installed alone.
EXTRAS = ("agent", "amqtt", "matplotlib", "paho", "pyroute2", "rich", "serial", "tomli")

_INSTALL = "pip install 'modem-agent[sim]'"


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="modem-sim", message="%(prog)s %(version)s")
def command() -> None:
    """A modem that real clients take for a modem, and a whole device around it."""


def main() -> None:
    try:
        command.main(prog_name="modem-sim", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        click.echo(f"modem-sim: this needs {package}, which is not installed: {_INSTALL}", err=True)
        sys.exit(1)
    except SimulatorError as error:
        click.echo(f"modem-sim: {error}", err=True)
        sys.exit(1)
