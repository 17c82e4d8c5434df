"""`modem-agent pin`: takes the SIM's PIN unseen, keeps it where the agent reads it, says what came of it."""

from __future__ import annotations

import contextlib
import grp
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli import exits, screen
from agent.cli.language import _, spoken
from agent.cli.verb import Call, verb
from agent.errors import AgentNotRunning

if TYPE_CHECKING:
    from agent import status_schema as schema

OWNER_GROUP = "modem-agent"  # the service's own (systemd/modem-agent.sysusers)
MODE = 0o640
LOOK_S = 2.0  # between two looks at the status
AGENT_LOOKS_S = 40.0  # the agent looks every half minute (agent/daemon/tasks/recovery.py)
LIMIT_S = 120.0  # a restart and two looks


@verb("sudo modem-agent pin", "echo 1234 | sudo modem-agent pin --json")
def command(call: Call) -> int:
    """Give the SIM's PIN to the agent.

    Asks for it without showing it, or reads one line from a pipe; it is never an argument, which others could see. The
    agent enters a PIN once, and never with the last attempt.
    """
    from agent.cli import config_file

    config = call.config()
    file = place(call.config_path, config.modem.pin_file)
    fresh = config.modem.pin_file != str(file)
    for written in (file, *([call.config_path] if fresh else ())):
        config_file.check_permission(written)
    value = _asked()
    if wrong := pin_problem(value):
        raise click.UsageError(wrong)
    keep(file, value)
    if fresh:
        config_file.change(call.config_path, config_file.read_table(call.config_path), {"modem.pin_file": str(file)})
    return _report(call, file, restart=fresh)


def place(config_file: Path, pin_file: str) -> Path:
    """Where the PIN is kept: as configured, or beside the configuration."""
    return Path(pin_file or config_file.parent / "pin")


def pin_problem(value: str) -> str:
    """Empty: it can be one."""
    from agent.modem.pin import is_pin

    return "" if is_pin(value) else _("a PIN has 4 to 8 digits")


def _asked() -> str:
    if sys.stdin.isatty():
        return screen.asked(_("PIN of the SIM:"), hidden=True)
    return sys.stdin.readline().strip()


def keep(file: Path, value: str) -> None:
    """In one step, and readable by the agent alone from its first moment."""
    side = file.with_name(file.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        side.unlink()
    descriptor = os.open(side, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        with contextlib.suppress(KeyError, PermissionError):  # on OpenWrt the agent is root and there is no group
            os.fchown(stream.fileno(), 0, grp.getgrnam(OWNER_GROUP).gr_gid)
        os.fchmod(stream.fileno(), MODE)
        stream.write(value + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(side, file)


def _report(call: Call, file: Path, *, restart: bool) -> int:
    """What the agent made of it: the SIM is open, or why not."""
    try:
        before = _modem(call)
        if restart:
            with call.client() as client:
                client.call("agent.restart")
        sim, reason = _wait(call, str(before.get("pin") or ""))
    except AgentNotRunning:
        sim, reason = None, _("the agent does not run; it enters the PIN when it starts")
    if call.json:
        screen.print_json({"v": 1, "file": str(file), "sim": sim, "reason": reason})
    else:
        print(screen.clean(_("{path}: written", path=file)))
        state = _("SIM {state}", state=sim or _("unknown"))
        print(screen.clean(_("{what}: {reason}", what=state, reason=spoken(reason)) if reason else state))
    return exits.FAILED if sim not in (None, "READY") else exits.OK


def _modem(call: Call) -> schema.Modem:
    with call.client() as client:
        return client.status()["modem"]


def _wait(call: Call, before: str) -> tuple[str | None, str]:
    """State of the SIM and the agent's word, once it has looked; what it said before counts after its next look."""
    began = time.monotonic()
    sim: str | None = None
    while (waited_s := time.monotonic() - began) < LIMIT_S:
        with contextlib.suppress(AgentNotRunning):  # it restarts
            modem = _modem(call)
            sim = ((modem.get("reading") or {}).get("sim") or {}).get("state")
            reason = str(modem.get("pin") or "")
            if sim not in (None, "SIM PIN"):
                return sim, ""
            if reason and (reason != before or waited_s >= AGENT_LOOKS_S):
                return sim, reason
        time.sleep(LOOK_S)
    return sim, _("the agent has not entered it within {seconds:g} s; see 'modem-agent doctor'", seconds=LIMIT_S)
