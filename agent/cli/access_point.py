"""The access point name where it counts: changed at whoever dials on this system. Called by `setup`."""

from __future__ import annotations

from agent.cli import screen
from agent.cli.language import _
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
    values = {"owner": dialler.owner, "connection": dialler.name}
    now = dialler.apn or _("(none)")
    screen.note(_("{owner}'s connection {connection} dials with APN {now}, not {apn}", now=now, apn=apn, **values))
    if not (yes or agreed(_("Change it to {apn}?", apn=apn))):
        return True
    try:
        for command in dialler.commands(apn):
            run(command)
    except AgentError as error:
        words = _("{owner}'s connection {connection} not changed: {error}", error=error, **values)
        screen.note(f"modem-agent: {words}")
        return False
    words = _("{owner}'s connection {connection} has it now; '{again}' connects anew", again=dialler.again, **values)
    screen.note(words)
    return True
