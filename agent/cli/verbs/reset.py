"""`modem-agent reset`: one rung of the recovery ladder by hand, with what it will do said first."""

from __future__ import annotations

import click

from agent.cli import exits
from agent.cli.request import ask, confirm, show
from agent.cli.verb import Call, verb

# level: (what it does, how long the line is away at most, in seconds)
LEVELS: dict[str, tuple[str, int]] = {
    "attach": ("detaches from the packet network and attaches again", 30),
    "radio": ("switches the radio off and on; the module searches the network anew", 60),
    "module": ("restarts the module; its serial port and network interface vanish and come back", 150),
    "usb": ("takes the module off the USB bus and back on, as if it were pulled", 150),
    "power": ("cuts the module's power by the configured command or GPIO and gives it back", 180),
    "auto": ("takes the step that the recovery ladder finds right for the present fault", 180),
}


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
    confirm(call, "modem.reset", params, f"This {what}. The line is away for up to {away_s} s. Go on?", yes=yes)
    answer = ask(call, "modem.reset", params, limit_s=away_s + 60.0, first=f"resetting: {level}")
    done = [(name, value) for name, value in answer.items() if name != "v"]
    show(call, answer, [("Reset", level), *done])
    return exits.OK
