"""modem-sim replay: the host's side of a trace to a fresh module, in simulated time."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from simulator.ports.replay import replay
from simulator.ports.trace import read


@click.command(
    help="What the host wrote in FILE (modem-sim serve --trace) to a fresh module, at the same moments, and what was "
    "done to it. Prints what is answered; exit code 1 if a port says something else than in FILE."
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--profile", default="quectel-ec25", show_default=True, help="which module; see `modem-sim profiles`")
@click.option("--seed", default=0, help="fixes identity and chance")
@click.option("--pace", default=1.0, type=click.FloatRange(0), help="scales the module's own delays")
@click.option("--cold", is_flag=True, help="start with power-up instead of registered")
def command(file: Path, profile: str, seed: int, pace: float, cold: bool) -> None:
    outcome = replay(read(file), profile, seed=seed, pace=pace, warm=not cold)
    for event in outcome.events:
        click.echo(str(event))
    for difference in outcome.differences:
        click.echo(difference, err=True)
    sys.exit(1 if outcome.differences else 0)
