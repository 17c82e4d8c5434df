"""The access point name where it counts: changed at whoever dials on this system. Called by `setup`."""

from __future__ import annotations

from agent.cli import screen
from agent.cli.request import agreed
from agent.doctor.access_point import Dialler, diallers, run
from agent.errors import AgentError


def suggested() -> str:
    """What dials now; empty when nobody does."""
    return next((dialler.apn for dialler in diallers() if dialler.apn), "")


def change(apn: str, *, yes: bool) -> bool:
    """Show every connection that dials with another APN and change it after a question; whether all went well."""
    differing = [dialler for dialler in diallers() if apn and dialler.apn != apn]
    return all([_changed(dialler, apn, yes=yes) for dialler in differing])


def _changed(dialler: Dialler, apn: str, *, yes: bool) -> bool:
    place = f"{dialler.owner}'s connection {dialler.name}"
    screen.note(f"{place} dials with APN {dialler.apn or '(none)'}, not {apn}")
    if not (yes or agreed(f"Change it to {apn}?")):
        return True
    try:
        for command in dialler.commands(apn):
            run(command)
    except AgentError as error:
        screen.note(f"modem-agent: {place} not changed: {error}")
        return False
    screen.note(f"{place} has it now; '{dialler.again}' connects anew")
    return True
