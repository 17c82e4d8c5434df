"""`modem-agent doctor`: the fault in one line. Walks the chain, works with the agent dead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from agent.cli import exits, screen
from agent.cli.verb import Call, verb

if TYPE_CHECKING:
    from agent.doctor.diagnosis import Diagnosis

_MARKS = {"ok": ("ok", screen.GREEN), "unknown": ("-", screen.DIM), "warning": ("warning", screen.YELLOW)}
_FAULT = ("FAULT", screen.RED)


@verb("modem-agent doctor", "modem-agent doctor --json --strict")
@click.option("--strict", is_flag=True, help="End with 1 for a warning too.")
def command(call: Call, strict: bool) -> int:
    """Walk the chain from port to broker and name the root cause.

    Works with the agent dead. Ends with 0 when nothing is broken, 1 when something is, and 4 when this user may not
    ask the agent.
    """
    return examined(call, strict=strict)


def examined(call: Call, *, strict: bool = False, more: Mapping[str, object] | None = None) -> int:
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
        print("\n".join(lines(diagnosis)))
    if evidence.agent_refused or evidence.config_denied:
        screen.note(f"modem-agent: {evidence.agent_problem if evidence.agent_refused else evidence.config_denied}")
        return exits.NOT_PERMITTED
    bad = ("fault", "warning") if strict else ("fault",)
    return exits.FAILED if diagnosis.worst in bad else exits.OK


def lines(diagnosis: Diagnosis) -> list[str]:
    """The whole screen: a line a link, then the root cause and what to do about it."""
    chain = [line for name, finding in diagnosis.findings for line in _link(name, finding.level, finding.text)]
    return [*chain, "", *_root(diagnosis)]


def _link(name: str, level: str, text: str) -> list[str]:
    mark, code = _MARKS.get(level, _FAULT)
    left, margin = f"{name:<13} ", 23
    if screen.width() < 60:  # what is so stands below, or three words a line would be left
        below = screen.wrap(screen.clean(text), screen.width() - 2)
        return [f"{left}{screen.paint(mark, code)}", *("  " + line for line in below)]
    first, *rest = screen.wrap(screen.clean(text), screen.width() - margin) or [""]
    return [f"{left}{screen.paint(mark.ljust(8), code)} {first}", *(" " * margin + line for line in rest)]


def _root(diagnosis: Diagnosis) -> list[str]:
    if diagnosis.root is None:
        return [screen.paint("Nothing is wrong.", screen.GREEN)]
    name, finding = diagnosis.root
    _, code = _MARKS.get(finding.level, _FAULT)
    head = f"{'Root cause' if finding.level == 'fault' else 'Worth a look'} ({finding.cause}): {name}: {finding.text}"
    told = [screen.paint(line, code) for line in screen.wrap(screen.clean(head), screen.width())]
    return [*told, *screen.wrap(screen.clean("What to do: " + finding.advice), screen.width())]
