"""`modem-agent throttle`: lift or force the slow speed by hand, or leave it to the plan again."""

from __future__ import annotations

import click

from agent.cli.asking import ask, show, who
from agent.cli.status import speed
from agent.cli.verb import Call, verb
from agent.cli.when import local


@verb("modem-agent throttle lift --reason 'medical emergency' --for 24h", "modem-agent throttle auto")
@click.argument("mode", type=click.Choice(("lift", "force", "auto")))
@click.option("--reason", help="Why; it stands in status and goes to the operator.")
@click.option("--for", "lasting", metavar="TIME", help="For how long: 90m, 24h, 3d. Default: until the new period.")
def command(call: Call, mode: str, reason: str | None, lasting: str | None) -> int:
    """Lift or force the throttle, or leave it to the plan.

    lift gives full speed past the allowance, force the slow speed before it, auto ends either.
    """
    expires = None if lasting is None else _expiry(lasting)
    params = {} if mode == "auto" else {"reason": reason, "expires": expires, "by": who()}
    answer = ask(call, f"throttle.{mode}", params, limit_s=30.0, first=f"throttle: {mode}")
    if call.json:
        show(call, answer, [])
        return 0
    with call.client() as client:
        status = client.call("status")
    show(call, answer, [("Throttle", mode), ("Speed", speed(status)), ("Until", local(expires))])
    return 0


_UNITS = {"m": 60, "h": 3_600, "d": 86_400}


def _expiry(text: str) -> str:
    """An RFC 3339 time that far from now."""
    from datetime import datetime, timedelta, timezone

    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit() or not 0 < int(number) * _UNITS[unit] <= 40 * 86_400:
        raise click.UsageError(f"--for {text!r} is no length of time; allowed: 90m, 24h, 3d (at most 40d)")
    until = datetime.now(timezone.utc) + timedelta(seconds=int(number) * _UNITS[unit])
    return until.strftime("%Y-%m-%dT%H:%M:%SZ")
