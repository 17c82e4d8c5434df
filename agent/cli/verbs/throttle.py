"""`modem-agent throttle`: lift, force or suspend the throttle by hand, or leave it to the plan again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.language import _
from agent.cli.request import ask, show, who
from agent.cli.times import from_now, local
from agent.cli.verb import Call, verb
from agent.cli.verbs.status import speed

if TYPE_CHECKING:
    from agent import status_schema as schema


@verb("modem-agent throttle lift --reason 'medical emergency' --for 24h", "modem-agent throttle auto")
@click.argument("mode", type=click.Choice(("lift", "force", "suspend", "auto")))
@click.option("--reason", help="Why; it stands in status and goes to the operator.")
@click.option(
    "--for",
    "lasting",
    metavar="TIME",
    help="For how long: 90m, 24h, 3d. Without it a lift ends with the period, force and suspend only by auto.",
)
def command(call: Call, mode: str, reason: str | None, lasting: str | None) -> int:
    """Lift, force or suspend the throttle, or leave it to the plan.

    lift gives the plan's full speed past the allowance, until --for or the end of the period. force gives the slow
    speed before it, suspend shapes nothing at all while counting goes on; both last until --for or 'throttle auto',
    through every new period. auto ends each of them.
    """
    expires = None if lasting is None else from_now(lasting)
    params = {} if mode == "auto" else {"reason": reason, "expires": expires, "by": who()}
    answer = ask(call, f"throttle.{mode}", params, limit_s=30.0, first=_("throttle: {mode}", mode=mode))
    if call.json:
        show(call, answer, [])
        return 0
    with call.client() as client:
        status = client.status()
    rows: list[tuple[str, object]] = [
        (_("Throttle"), mode),
        (_("Speed"), speed(status)),
        (_("Until"), until(mode, expires, status)),
    ]
    show(call, answer, rows)
    return 0


def until(mode: str, expires: str | None, status: schema.Status) -> str | None:
    """When the override ends, in words."""
    if expires is not None or mode == "auto":
        return local(expires)
    if mode == "lift":
        return _("{time}, when the new period begins", time=local(status["period"]["end"]))
    return _("'modem-agent throttle auto': it has no end of its own, give one by --for")
