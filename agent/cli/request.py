"""One command asked of the running agent, its progress shown meanwhile. Used by the verbs that act or take long.

Ctrl-C closes the connection, on which the agent cancels the command: the modem is left as it was.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from agent.cli import screen
from agent.cli.language import _, spoken
from agent.cli.progress import Steps
from agent.cli.verb import Call
from agent.errors import AgentError, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.control.client import ControlClient


def ask(call: Call, method: str, params: Mapping[str, object], *, limit_s: float, first: str) -> dict[str, Any]:
    """The command's result, in its own shape; raises AgentError. Arguments that are None are left to its defaults."""
    given = _given(params)
    with call.client() as client, Steps(quiet=call.json) as steps:
        check_role(client, method)
        steps.tell(first)
        return client.call(
            method,
            given,
            timeout_s=call.timeout_s or limit_s,
            progress=lambda step: steps.tell(spoken(str(step.get("what", ""))), _percent(step.get("percent"))),
            waiting=steps.wait,
        )


def _given(params: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in params.items() if value is not None}


def check_role(client: ControlClient, method: str) -> None:
    """Raises NotPermitted before anything is asked of a user who may not do it."""
    from agent.commands.command import allows
    from agent.commands.table import COMMANDS

    row = COMMANDS.get(method)
    if row is not None and not allows(client.role, row.role):
        words = _("{method} needs the role {role}, not {own}: use sudo, or see device.act_group",
                  method=method, role=row.role, own=client.role)  # fmt: skip
        raise NotPermitted(words)


def permitted(call: Call, method: str) -> None:
    """Raises NotPermitted, or AgentNotRunning."""
    with call.client() as client:
        check_role(client, method)


def confirm(call: Call, method: str, params: Mapping[str, object], question: str, *, yes: bool) -> None:
    """Return if it may go on, else raise. On a terminal the technician is asked, if it can be done at all; a script has
    decided by calling with --yes, and one that has not is refused rather than taken by surprise."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(_("nobody is there to confirm; say --yes"))
    with call.client() as client:
        check_role(client, method)
        client.check(method, _given(params))
    if not agreed(question):
        raise AgentError(_("not confirmed: nothing was done"))


def agreed(question: str, *, default: bool = False) -> bool:
    """The technician's yes, or the default if he only presses Enter; no where nobody is at a terminal."""
    if not sys.stdin.isatty():
        return False
    answer = screen.asked(
        _("{question} [Y/n]", question=question) if default else _("{question} [y/N]", question=question)
    ).lower()
    return answer in ("y", "yes", "j", "ja", "o", "oui") or (default and not answer)


def who() -> str:
    """Who grants or forces, as `status` will name him; the agent's own log has the kernel's word for it."""
    import getpass

    try:
        return f"{getpass.getuser()} on the device"
    except (KeyError, OSError):  # a user number without a name
        return "somebody on the device"


def show(call: Call, answer: Mapping[str, object], rows: list[tuple[str, object]]) -> None:
    """The answer as JSON, or as lines of name and value."""
    if call.json:
        screen.print_json(answer)
        return
    for line in screen.pairs(rows):
        print(line)


def _percent(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
