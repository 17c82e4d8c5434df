"""`modem-agent reset`: one rung of the recovery ladder by hand, with what it will do said first."""

from __future__ import annotations

import click

from agent.cli import exits
from agent.cli.language import N_, _, spoken
from agent.cli.request import ask, confirm, show
from agent.cli.verb import Call, verb

# level: (what it does, how long the line is away at most, in seconds)
LEVELS: dict[str, tuple[str, int]] = {
    "attach": (N_("This takes mobile data off and on again."), 30),
    "radio": (N_("This switches the radio off and on; the module searches the network anew."), 60),
    "module": (N_("This restarts the module; its serial port and network interface vanish and come back."), 150),
    "usb": (N_("This takes the module off the USB bus and back on, as if it were pulled."), 150),
    "power": (N_("This cuts the module's power by the configured command or GPIO and gives it back."), 180),
    "auto": (N_("This takes the step that fits the present fault."), 180),
}

NAMES = {"level": N_("level"), "text": N_("done")}  # of the answer


@verb("modem-agent reset radio", "modem-agent reset module --yes")
@click.argument("level", type=click.Choice(tuple(LEVELS)), default="auto", metavar="[LEVEL]")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def command(call: Call, level: str, yes: bool) -> int:
    """Reset the radio, the module or its power.

    Levels, from the gentlest: attach, radio, module, usb, power; auto (the default) leaves the choice to the recovery
    ladder. No level helps against missing coverage, a denied SIM or a used-up allowance.
    """
    what, away_s = LEVELS[level]
    params = {"level": level}
    question = _("{what} The line is away for up to {seconds} s. Go on?", what=_(what), seconds=away_s)
    confirm(call, "modem.reset", params, question, yes=yes)
    answer = ask(call, "modem.reset", params, limit_s=away_s + 60.0, first=_("resetting: {level}", level=level))
    done = [(_(NAMES.get(name, name)), spoken(str(value))) for name, value in answer.items() if name != "v"]
    show(call, answer, [(_("Reset"), level), *done])
    return exits.OK
