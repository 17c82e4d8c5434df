"""`modem-agent topup`: add to this period's allowance, where the plan lets a technician do so."""

from __future__ import annotations

import re
import uuid

import click

from agent.cli import exits, screen
from agent.cli.language import _
from agent.cli.request import ask, confirm, show, who
from agent.cli.times import from_now, local
from agent.cli.verb import Call, verb

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def amount_of(text: str) -> int:
    """5GB, 500 MB, 1000000 as bytes: decimal units, as the plan counts. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]{0,2})", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise click.UsageError(_("{text} is no amount; allowed: 500MB, 5GB, 2.5GB (decimal units)", text=repr(text)))
    whole, _point, part = found[1].partition(".")
    amount = int(whole) * _UNITS[found[2]] + int((part + "000")[:3]) * _UNITS[found[2]] // 1000
    if amount <= 0:
        raise click.UsageError(_("a top-up is more than nothing"))
    return amount


@verb("modem-agent topup 5GB", "modem-agent topup 500MB --id 2026-11-ticket-4711 --yes")
@click.argument("amount")
@click.option("--id", "number", metavar="ID", help="The same id never counts twice; default: a new one.")
@click.option("--for", "lasting", metavar="TIME", help="For how long: 12h, 7d. Default: until the new period.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def command(call: Call, amount: str, number: str | None, lasting: str | None, yes: bool) -> int:
    """Add to this period's allowance, if the plan allows it here.

    Only where plan.local_topup is set; otherwise support does it from its desk.
    """
    extra = amount_of(amount)
    expires = None if lasting is None else from_now(lasting)
    question = (
        _("This adds {size} until {time}. Go on?", size=screen.size(extra), time=local(expires))
        if expires
        else _("This adds {size} to the present period. Go on?", size=screen.size(extra))
    )
    params = {"bytes": extra, "id": number or uuid.uuid4().hex, "expires": expires, "by": who()}
    confirm(call, "plan.topup", params, question, yes=yes)
    answer = ask(call, "plan.topup", params, limit_s=30.0, first=_("adding"))
    used = answer.get("usage") or {}
    rows: list[tuple[str, object]] = [
        (_("Added"), screen.size(extra)),
        (_("Allowance now"), screen.size(used.get("limit_bytes"))),
        (_("Left"), screen.size(used.get("remaining_bytes"))),
        (_("Until"), local(expires) or _("the new period")),
    ]
    show(call, answer, rows)
    return exits.OK
