"""Commands that speak to the cellular module: `modem.at`, `modem.reset`, `modem.scan`, `sms.send`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent import redact
from agent.at.cells import tells_cell
from agent.commands import limits, results
from agent.commands.agent import Agent, ModemPort
from agent.commands.at_allowlist import allowed
from agent.commands.command import Args, Command, Out, Progress
from agent.errors import CommandError, Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

SCAN_S = 200.0  # AT+COPS=? takes up to 180 s on most modules
OPERATOR = re.compile(r'\((\d),"([^"]*)","([^"]*)","(\d{5,6})"(?:,(\d+))?\)')  # 27.007 7.3
STATES = ("unknown", "available", "current", "forbidden")


def present(agent: Agent) -> ModemPort:
    if agent.modem is None:
        state = agent.snapshot().modem_state
        raise Rejected(results.NO_MODEM, f"modem {state}: it cannot be asked now")
    return agent.modem


async def at(agent: Agent, args: Args, progress: Progress) -> Out:
    text = args["command"].strip()
    if not text.isprintable() or not text.isascii():
        raise Rejected(results.INVALID_VALUE, "an AT command is one line of plain characters")
    if args["force"] and progress.id:  # the operator's desk cannot see the box it may cut off
        raise Rejected(results.PERMISSION_DENIED, "force is for a technician on the device")
    if not args["force"] and not allowed(text, agent.config.commands.at_allow):
        raise Rejected(results.PERMISSION_DENIED, f"{text[:60]!r} is not in the list of allowed AT commands")
    if progress.id and tells_cell(text):
        status = agent.snapshot().to_dict()
        if not redact.shows_location(status, agent.config.operator.location):
            raise Rejected(results.PERMISSION_DENIED, f"{text[:60]!r} tells the cell, and the line has no fault now")
    try:
        response = await present(agent).execute(text)
    except CommandError as error:
        return {"v": 1, "final": error.final, "lines": [], "code": error.code}
    return {"v": 1, "final": str(response.final), "lines": list(response.lines), "code": response.code}


async def reset(agent: Agent, args: Args, progress: Progress) -> Out:
    progress(5, f"resetting: {args['level']}")
    return {"v": 1, **await agent.reset_modem(args["level"])}


async def scan(agent: Agent, args: Args, progress: Progress) -> Out:
    """Which networks the antenna hears. The line is away while the module searches."""
    modem = present(agent)
    progress(5, "searching; the line is away for up to three minutes")
    response = await modem.execute("AT+COPS=?", timeout_s=SCAN_S - 10)
    return {"v": 1, "networks": networks(response.lines)}


def networks(lines: Sequence[str]) -> list[dict[str, object]]:
    """The tuples of +COPS: (stat,"long","short","plmn",act)."""
    found = []
    for line in lines:
        for stat, name, _, plmn, act in OPERATOR.findall(line):
            state = STATES[int(stat)] if int(stat) < len(STATES) else "unknown"
            found.append({"plmn": plmn, "name": name, "state": state, "act": int(act) if act else None})
    return found


async def sms(agent: Agent, args: Args, progress: Progress) -> Out:
    if progress.id and (problem := limits.number_problem(args["number"], agent.config.commands.sms_allow)):
        raise Rejected(results.PERMISSION_DENIED, problem)
    await limits.take(agent, progress, limits.messages(agent), 1)
    sent = await agent.send_sms(args["number"], args["text"])
    if isinstance(parts := sent["parts"], int):
        await limits.settle(agent, progress, limits.messages(agent), parts - 1)
    return {"v": 1, **sent}


ROWS = (
    Command(
        "modem.at",
        "one AT command of the allowed list",
        at,
        args={
            "command": {"type": "string", "minLength": 2, "maxLength": 200, "required": True},
            "force": {"type": "boolean", "default": False, "help": "beyond the list; on the device only"},
        },
        role="act",
        reads=lambda args: allowed(args["command"]),
        time_limit_s=SCAN_S,
        resource="modem",
    ),
    Command(
        "modem.reset",
        "one step of the recovery ladder",
        reset,
        args={
            "level": {
                "type": "string",
                "enum": ["auto", "attach", "radio", "module", "usb", "power"],
                "default": "auto",
            }
        },
        role="act",
        time_limit_s=240.0,
        repeatable=False,
        resource="modem",
    ),
    Command(
        "modem.scan",
        "which networks the antenna hears; the line is away for up to three minutes",
        scan,
        needs=present,
        role="act",
        time_limit_s=SCAN_S,
        repeatable=False,
        resource="modem",
    ),
    Command(
        "sms.send",
        "send a text message from the household's number",
        sms,
        args={
            "number": {
                "type": "string",
                "pattern": r"^\+?[0-9]{3,20}$",
                "required": True,
                "help": "a phone number: 3 to 20 digits, + in front of an international one",
            },
            "text": {"type": "string", "minLength": 1, "maxLength": 480, "required": True},
        },
        needs=present,
        role="act",
        time_limit_s=90.0,
        repeatable=False,
        resource="modem",
    ),
)
