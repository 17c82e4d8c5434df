"""modem-sim ctl: what is done to a running module from the shell."""

from __future__ import annotations

import json

import click

from simulator.ports.control import ACTIONS, ask
from simulator.verbs.serve import DEFAULT_CONTROL

_HELP = "Change a running module.\n\n\b\n" + "\n".join(f"{name:<12} {text}" for name, (_, text) in ACTIONS.items())


@click.command(help=_HELP, context_settings={"ignore_unknown_options": True})
@click.option("--control", default=DEFAULT_CONTROL, show_default=True, help="the socket of `modem-sim serve`")
@click.argument("words", nargs=-1, required=True)
def command(control: str, words: tuple[str, ...]) -> None:
    click.echo(json.dumps(ask(control, list(words)), indent=2, ensure_ascii=False))
