"""`modem-agent doctor`: the fault in one line. Walks the chain, works with the agent dead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from agent.cli import exits, screen
from agent.cli.language import N_, _, ngettext, spoken
from agent.cli.verb import Call, verb

if TYPE_CHECKING:
    from agent.doctor.diagnosis import Diagnosis
    from agent.doctor.finding import Finding

_MARKS = {
    "ok": (N_("ok"), screen.GREEN),
    "unknown": (N_("-"), screen.DIM),
    "warning": (N_("warning"), screen.YELLOW),
    "fault": (N_("FAULT"), screen.RED),
}
# The links of the chain (agent/doctor/diagnosis.py) as a screen names them.
TITLES = {
    "configuration": N_("configuration"),
    "port": N_("port"),
    "modem": N_("modem"),
    "SIM": N_("SIM"),
    "registration": N_("registration"),
    "signal": N_("signal"),
    "attach": N_("mobile data"),
    "address": N_("address"),
    "route": N_("route"),
    "name server": N_("name server"),
    "internet": N_("internet"),
    "broker": N_("broker"),
    "speed": N_("speed"),
    "agent": N_("agent"),
    "clock": N_("clock"),
    "counters": N_("counters"),
    "shaper": N_("shaper"),
    "devices": N_("devices"),
    "disk": N_("disk"),
    "page": N_("page"),
}
SHORT_LINES = 23  # of the 24 of a console; the last is the prompt's


@verb("modem-agent doctor", "modem-agent doctor --short", "modem-agent doctor --json --strict")
@click.option("--short", is_flag=True, help="Cause and advice first, then what else is wrong; at most 23 lines.")
@click.option("--strict", is_flag=True, help="End with 1 for a warning too.")
def command(call: Call, short: bool, strict: bool) -> int:
    """Walk the chain from port to broker and name the root cause.

    Works with the agent dead. Ends with 0 when nothing is broken, 1 when something is, and 4 when this user may not
    ask the agent.
    """
    return examined(call, short=short, strict=strict)


def examined(call: Call, *, short: bool = False, strict: bool = False, more: Mapping[str, object] | None = None) -> int:
    """Look, judge and show it; `more` stands in the JSON object beside it. The exit status."""
    from agent.cli.evidence import examine
    from agent.cli.progress import Steps
    from agent.doctor.diagnosis import diagnose

    with Steps(quiet=call.json) as steps:
        evidence = examine(call, steps.tell)
    diagnosis = diagnose(evidence)
    if call.json:
        screen.print_json({**diagnosis.to_dict(), **(more or {})})
    else:
        print("\n".join(short_lines(diagnosis) if short else lines(diagnosis)))
    if evidence.agent_refused or evidence.config_denied:
        problem = evidence.agent_problem if evidence.agent_refused else evidence.config_denied
        screen.note(f"modem-agent: {spoken(problem)}")
        return exits.NOT_PERMITTED
    bad = ("fault", "warning") if strict else ("fault",)
    return exits.FAILED if diagnosis.worst in bad else exits.OK


def lines(diagnosis: Diagnosis) -> list[str]:
    """The whole screen: a line a link, then the root cause and what to do about it."""
    chain = [line for link, finding in diagnosis.findings for line in _link(link, finding)]
    return [*chain, "", *_root(diagnosis)]


def short_lines(diagnosis: Diagnosis) -> list[str]:
    """Cause and advice, then as much of what else is wrong as a console shows at once."""
    told = _root(diagnosis)
    others = [
        _link(link, finding)
        for link, finding in diagnosis.findings
        if finding.level in ("fault", "warning") and (link, finding) != diagnosis.root
    ]
    room = SHORT_LINES - len(told) - 3  # an empty line, and the sentence about those that have no room, folded
    shown: list[str] = []
    while others and len(shown) + len(others[0]) <= room:
        shown += others.pop(0)
    if shown or others:
        told += ["", *shown]
    if others:
        rest = ngettext(
            "{count} more: 'modem-agent doctor' shows it.",
            "{count} more: 'modem-agent doctor' shows them.",
            len(others),
        )
        told += screen.wrap(screen.clean(rest), screen.width())
    return told


def _link(link: str, finding: Finding) -> list[str]:
    wide = max(len(_(title)) for title in TITLES.values())
    mark_wide = max(len(_(mark)) for mark, code in _MARKS.values())
    mark, code = _MARKS[finding.level]
    left, text = _(TITLES[link]).ljust(wide), screen.clean(spoken(finding.text))
    if screen.width() < 60:  # what is so stands below, or three words a line would be left
        below = screen.wrap(text, screen.width() - 2)
        return [f"{left} {screen.paint(_(mark), code)}", *("  " + line for line in below)]
    margin = wide + mark_wide + 3
    first, *rest = screen.wrap(text, screen.width() - margin) or [""]
    shown = screen.paint(_(mark).ljust(mark_wide), code)
    return [f"{left} {shown}  {first}", *(" " * margin + line for line in rest)]


def _root(diagnosis: Diagnosis) -> list[str]:
    if diagnosis.root is None:
        return [screen.paint(_("Nothing is wrong."), screen.GREEN)]
    link, finding = diagnosis.root
    values = {"cause": finding.cause, "link": _(TITLES[link]), "text": spoken(finding.text)}
    head = (
        _("Root cause ({cause}): {link}: {text}", **values)
        if finding.level == "fault"
        else _("Worth a look ({cause}): {link}: {text}", **values)
    )
    code = _MARKS[finding.level][1]
    told = [screen.paint(line, code) for line in screen.wrap(screen.clean(head), screen.width())]
    advice = _("What to do: {advice}", advice=spoken(finding.advice))
    return [*told, *screen.wrap(screen.clean(advice), screen.width())]
