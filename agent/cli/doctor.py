"""`modem-agent doctor`: the fault in one line. Walks the chain, works with the agent dead."""

from __future__ import annotations

import click

from agent.cli import exits, screen
from agent.cli.verb import Call, verb

_MARKS = {"ok": ("ok", screen.GREEN), "unknown": ("-", screen.DIM), "warning": ("warning", screen.YELLOW)}
_FAULT = ("FAULT", screen.RED)


@verb("modem-agent doctor", "modem-agent doctor --json --strict")
@click.option("--strict", is_flag=True, help="End with 1 for a warning too.")
def command(call: Call, strict: bool) -> int:
    """Walk the chain from port to broker and name the root cause.

    Works with the agent dead. Ends with 0 when nothing is broken and 1 when something is.
    """
    from agent.cli.examine import examine
    from agent.cli.progress import Steps
    from agent.commands.doctor import diagnose

    with Steps(quiet=call.json) as steps:
        diagnosis = diagnose(examine(call, steps.tell))
    if call.json:
        screen.print_json(diagnosis.to_dict())
    else:
        for name, finding in diagnosis.findings:
            _print_link(name, finding.level, finding.text)
        print()
        _print_root(diagnosis)
    bad = ("fault", "warning") if strict else ("fault",)
    return exits.FAILED if diagnosis.worst in bad else exits.OK


def _print_link(name: str, level: str, text: str) -> None:
    mark, code = _MARKS.get(level, _FAULT)
    left = f"{name:<13} "
    lines = screen.wrap(screen.clean(text), max(20, screen.width() - len(left) - 9))
    print(f"{left}{screen.paint(mark.ljust(8), code)} {lines[0] if lines else ''}")
    for line in lines[1:]:
        print(" " * (len(left) + 9) + line)


def _print_root(diagnosis: object) -> None:
    from agent.commands.doctor import Diagnosis

    assert isinstance(diagnosis, Diagnosis)
    if diagnosis.root is None:
        print(screen.paint("Nothing is wrong.", screen.GREEN))
        return
    name, finding = diagnosis.root
    _, code = _MARKS.get(finding.level, _FAULT)
    head = f"{'Root cause' if finding.level == 'fault' else 'Worth a look'} ({finding.cause}): {name}: {finding.text}"
    for line in screen.wrap(screen.clean(head), screen.width()):
        print(screen.paint(line, code))
    for line in screen.wrap(screen.clean("What to do: " + finding.advice), screen.width()):
        print(line)
