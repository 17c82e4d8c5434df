"""modem-sim ctl: what is done to a running module from the shell."""

from __future__ import annotations

import json

import click

from simulator.ports.actions import help_text
from simulator.ports.control import ask
from simulator.verbs.serve import DEFAULT_CONTROL


@click.command(help="Change a running module.\n\n\b\n" + help_text(), context_settings={"ignore_unknown_options": True})
@click.option("--control", default=DEFAULT_CONTROL, show_default=True, help="the socket of `modem-sim serve`")
@click.argument("words", nargs=-1, required=True)
def command(control: str, words: tuple[str, ...]) -> None:
    answer = ask(control, list(words))
    if words[0] == "log":  # a trace's own lines, to be read or kept as a file
        click.echo("\n".join(answer))
    else:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
