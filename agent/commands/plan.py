"""Commands that change what the household may use: the ledger, the journal and the answer in one transaction."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any

import agent.plan
from agent.commands.agent import Agent
from agent.commands.snapshot import usage_dict
from agent.commands.table import Command, Progress
from agent.errors import Rejected
from agent.plan.model import Moment

INVALID_VALUE = 7012  # USP: invalid parameter value
plan: Any = agent.plan


async def topup(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Grant extra bytes. The same top-up id never counts twice, so a repeat after a power cut is harmless."""
    expires = instant(args["expires"]) if "expires" in args else None
    identity = args.get("id") or progress.id or uuid.uuid4().hex
    settings = agent.config.plan
    made: list[Any] = []

    def change(ledger: Any, moment: Moment) -> Any:
        granted = plan.TopUp(
            id=identity,
            amount_bytes=args["bytes"],
            expires=expires,
            by=args.get("by", ""),
            granted=moment.wall,
        )
        made[:] = [plan.top_up(ledger, granted, settings)]
        return made[0]

    def out() -> dict[str, Any]:
        return {"v": 1, "id": identity, "usage": usage_dict(plan.usage(made[0], settings))}

    await progress.bound(agent.change_ledger(change, also=progress.finish(out)))
    return out()


def instant(text: str) -> datetime:
    """An RFC 3339 time with its offset; raises Rejected."""
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Rejected(INVALID_VALUE, f"not a time: {text[:40]!r}; allowed: 2027-01-31T12:00:00Z") from None
    if when.tzinfo is None:
        raise Rejected(INVALID_VALUE, f"the time {text[:40]!r} lacks its offset, such as Z or +01:00")
    return when.astimezone(timezone.utc)


ROWS = (
    Command(
        "plan.topup",
        "grant bytes above the allowance, for this billing period or until a time",
        topup,
        args={
            "bytes": {"type": "integer", "minimum": 1, "maximum": 10**13, "required": True},
            "expires": {"type": "string", "maxLength": 40, "help": "RFC 3339 time; else the end of the period"},
            "id": {"type": "string", "minLength": 1, "maxLength": 64, "help": "the same id never counts twice"},
            "by": {"type": "string", "maxLength": 64, "help": "who granted it"},
        },
        role="act",
        resource="plan",
    ),
)
