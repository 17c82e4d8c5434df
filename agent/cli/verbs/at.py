"""`modem-agent at`: one AT command to the module, through the agent, or straight to the port without one.

What only reads goes at once; anything else wants --force, because one wrong line can lock a SIM or leave the radio off.
"""

from __future__ import annotations

import asyncio
import sys

import click

from agent.cli import exits, screen
from agent.cli.language import _, spoken
from agent.cli.request import ask, permitted
from agent.cli.verb import Call, verb
from agent.errors import AgentNotRunning, NotPermitted

LIMIT_S = 200.0  # AT+COPS=? takes up to three minutes


@verb("modem-agent at AT+CSQ", "modem-agent at 'AT+QENG=\"servingcell\"'", "modem-agent at --force AT+CFUN=1,1")
@click.argument("line", metavar="COMMAND")
@click.option("--force", is_flag=True, help="Send what is not on the list of harmless commands too.")
def command(call: Call, line: str, force: bool) -> int:
    """Send one AT command to the module.

    Commands that only read, and name nobody, are sent at once; others need --force and may cut the line, lock the SIM
    or switch the radio off. With no agent running it is sent straight to the port.
    """
    if not line.isprintable() or not line.isascii() or not line.upper().startswith("AT"):
        raise click.UsageError(
            _("{line} is no AT command; it begins with AT and is one line of plain characters", line=repr(line))
        )
    if force:
        words = _("warning: {line} is sent as it is; it may cut the line", line=line)
        print(screen.clean(f"modem-agent: {words}"), file=sys.stderr)
    try:
        permitted(call, "modem.at")
        answer = _asked(call, line, force)
    except AgentNotRunning:
        answer = _straight(call, line, force)
    if call.json:
        screen.print_json(answer)
    else:
        lines = answer.get("lines")
        for text in [*(lines if isinstance(lines, list) else ()), answer.get("final")]:
            print(screen.clean(str(text or _("(no final result code)"))))
    return exits.OK if answer.get("final") == "OK" else exits.FAILED


def _asked(call: Call, line: str, force: bool) -> dict[str, object]:
    """By somebody who may: a refusal is of this command alone."""
    params, first = {"command": line, "force": force or None}, _("asking the modem: {line}", line=line)
    try:
        return ask(call, "modem.at", params, limit_s=LIMIT_S, first=first)
    except NotPermitted as error:
        problem = spoken(str(error))
        raise NotPermitted(
            problem if force else _("{problem}; --force sends it all the same", problem=problem)
        ) from None


def _straight(call: Call, line: str, force: bool) -> dict[str, object]:
    """Open the port ourselves: nobody else has it, since no agent runs. The same list of harmless commands holds."""
    from agent.commands.at_allowlist import allowed
    from agent.modem import Modem

    config = call.config()
    if not force and not allowed(line, config.commands.at_allow):
        raise NotPermitted(
            _("{line} is not on the list of harmless commands; --force sends it all the same", line=line)
        )

    async def send() -> dict[str, object]:
        modem = Modem(config.modem)
        try:
            await modem.open()
            response = await modem.execute(line, call.timeout_s)
        finally:
            modem.close()
        return {"v": 1, "command": line, "lines": list(response.lines), "final": response.final, "code": response.code}

    return asyncio.run(send())
