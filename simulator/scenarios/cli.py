"""modem-sim run: play a scenario and print its timeline; exit 1 when an expectation did not hold."""

from __future__ import annotations

import json
import sys

import click

from simulator.scenarios.model import load, names
from simulator.scenarios.runner import Line, local_time, play


@click.command(help="Play SCENARIO (a name, or a .toml file) in simulated time. Without one, list what there is.")
@click.argument("scenarios", metavar="[SCENARIO]...", nargs=-1)
@click.option("--seed", type=int, default=None, help="another roll of the dice than the file's")
@click.option("--json", "as_json", is_flag=True, help="the timeline as lines of JSON")
def command(scenarios: tuple[str, ...], seed: int | None, as_json: bool) -> None:
    if not scenarios:
        for name in names():
            click.echo(f"{name:<24} {load(name).about}")
        return
    failed = [name for name in scenarios if not _play(name, seed, as_json)]
    sys.exit(1 if failed else 0)


def _play(name: str, seed: int | None, as_json: bool) -> bool:
    scenario = load(name)

    def tell(line: Line) -> None:
        if as_json:
            click.echo(json.dumps({"at_s": round(line.at_s, 3), "kind": line.kind, "text": line.text, "ok": line.ok}))
            return
        mark = {None: "      ", True: "ok    ", False: "FAILED"}[line.ok]
        when = local_time(scenario, line.at_s).strftime("%a %d %b %H:%M:%S")
        click.echo(f"{when}  {mark} {line.kind:<7} {line.text}")

    if not as_json:
        click.echo(f"{scenario.name}: {scenario.about}")
    run = play(scenario, tell, seed=seed)
    if not as_json:
        count = sum(line.ok is True for line in run.lines)
        click.echo(f"{scenario.name}: {'passed' if run.passed else 'FAILED'}, {count} expectations held\n")
    return run.passed
