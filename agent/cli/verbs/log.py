"""`modem-agent log`: what happened on this device, newest last; from the agent, or from the store without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli import events, exits, screen
from agent.cli.language import N_, _, spoken
from agent.cli.verb import Call, verb
from agent.errors import AgentNotRunning

if TYPE_CHECKING:
    from agent.command_schema import ChainedEntry, Log

# What the audit trail notes of a command (agent/commands/audit.py).
OUTCOMES = {
    "running": N_("running"),
    "succeeded": N_("succeeded"),
    "failed": N_("failed"),
    "refused": N_("refused"),
    "cancelled": N_("cancelled"),
}
MOST = 500  # events that the agent gives at once


@verb("modem-agent log", "modem-agent log --lines 200 --all", "modem-agent log --audit --json")
@click.option("--lines", type=click.IntRange(1, MOST), default=50, help="How many events (default 50).")
@click.option("--all", "everything", is_flag=True, help="Commands that only read too.")
@click.option("--audit", is_flag=True, help="Who commanded what, and whether the trail is whole.")
def command(call: Call, lines: int, everything: bool, audit: bool) -> int:
    """What happened; --audit shows who commanded what.

    Works without an agent, from the store.
    """
    wanted = lines if everything or audit or call.json else MOST  # of which those that only read are left out
    params: dict[str, object] = {"count": wanted, **({"audit": True} if audit else {})}
    try:
        with call.client() as client:
            answer = client.log(params)
    except AgentNotRunning as absent:
        from agent.cli import offline_status

        with offline_status.instead_of(absent):
            answer = _stored(call, wanted, audit)
    if call.json:
        screen.print_json(answer)
        return exits.OK if answer.get("broken") is None else exits.FAILED
    happened = [event for event in answer.get("events", ()) if everything or not events.reads(event)]
    shown = map(_audit_line, answer.get("audit", ())) if audit else map(events.line, happened[-lines:])
    for text in shown:
        for line in screen.wrap(text, screen.width(), indent="  "):
            print(line)
    broken = answer.get("broken")
    if audit:
        print(
            _("The trail is whole.")
            if broken is None
            else _("ENTRY {number} DOES NOT FIT: the trail was changed.", number=broken)
        )
    return exits.OK if broken is None else exits.FAILED


def _stored(call: Call, lines: int, audit: bool) -> Log:
    from agent.cli import offline_status

    found: Log
    if audit:
        entries, broken = offline_status.look(call, lambda db: (db.audit.entries(lines), db.audit.broken()))
        found = {"audit": entries, "broken": broken}
    else:
        found = {"events": offline_status.look(call, lambda db: db.events.recent(lines))}
    found["v"], found["stored"] = 1, {"age_s": round(offline_status.age_s(call))}
    return found


def _audit_line(entry: ChainedEntry) -> str:
    """22 Nov 2026 08:15 #12 plan.topup succeeded, by support (act), id 01JD3W7K9Q"""
    who = entry["issuer"] or _("somebody unnamed")
    told = _(
        "#{number} {command} {outcome}, by {who}, id {id}",
        number=entry["n"],
        command=entry["type"],
        outcome=_(OUTCOMES.get(entry["what"], entry["what"])),
        who=f"{who} ({entry['role']})" if entry["role"] else who,
        id=entry["id"],
    )
    if entry["reason"]:
        told = _("{what}: {reason}", what=told, reason=f"{spoken(entry['reason'])} ({entry['code']})")
    return screen.clean(f"{events.when(entry)} {told}")
