"""`modem-agent erase`: everything of the household off the device, at the end of a contract."""

from __future__ import annotations

import click

from agent.cli import exits
from agent.cli.language import _
from agent.cli.request import ask, confirm, show
from agent.cli.verb import Call, verb


@verb("modem-agent erase", "modem-agent erase --keep-period --yes")
@click.option("--keep-period", is_flag=True, help="The contract goes on: keep what was used of this period.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def command(call: Call, keep_period: bool, yes: bool) -> int:
    """Take everything of the household off the device.

    Ledger, history, statements, events and commands go; the configuration stays. The agent is restarted for it, the
    line stays up.
    """
    params = {"contract": "runs" if keep_period else "ended"}
    question = _("This takes all that was counted and noted off the device. Go on?")
    confirm(call, "device.erase", params, question, yes=yes)
    answer = ask(call, "device.erase", params, limit_s=60.0, first=_("erasing"))
    show(call, answer, [(_("Erased"), answer.get("erased"))])
    return exits.OK
