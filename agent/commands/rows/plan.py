"""Commands that change what the household may use: the ledger, the journal and the answer in one transaction."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone

from agent import plan
from agent.commands import pushed_config, results
from agent.commands.agent import Agent
from agent.commands.command import Args, Command, Out, Progress, Run
from agent.errors import Rejected
from agent.keeper import LedgerChange
from agent.plan import Ledger, Moment
from agent.status import timestamp, usage_dict


async def _change(agent: Agent, progress: Progress, change: LedgerChange, **more: object) -> Out:
    """Apply a pure change to the ledger; the answer is in its transaction."""

    def out(ledger: Ledger) -> Out:
        return {"v": 1, **more, "usage": usage_dict(plan.usage(ledger, agent.config.plan))}

    return await progress.conclude(change, out)


async def topup(agent: Agent, args: Args, progress: Progress) -> Out:
    """Grant extra bytes. The same top-up id never counts twice, so a repeat after a power cut is harmless."""
    if not progress.id and not agent.config.plan.local_topup:
        raise Rejected(results.PERMISSION_DENIED, "top-ups are the operator's here (plan.local_topup is off)")
    expires = instant(args["expires"]) if "expires" in args else None
    identity = args.get("id") or progress.id or uuid.uuid4().hex

    def change(ledger: Ledger, moment: Moment) -> Ledger:
        granted = plan.TopUp(
            id=identity,
            amount_bytes=args["bytes"],
            expires=expires,
            by=args.get("by", ""),
            granted=moment.wall,
            boot_id=moment.boot_id,
            boot_s=moment.boot_s,
            unsure=not moment.trusted,
        )
        return plan.top_up(ledger, granted, agent.config.plan)

    return await _change(agent, progress, change, id=identity)


def _override(mode: str) -> Run:
    async def run(agent: Agent, args: Args, progress: Progress) -> Out:
        expires = instant(args["expires"]) if "expires" in args else None

        def change(ledger: Ledger, moment: Moment) -> Ledger:
            wanted = plan.Override(
                mode=mode,
                reason=args.get("reason", ""),
                by=args.get("by", ""),
                expires=expires,
                granted=moment.wall,
                boot_id=moment.boot_id,
                boot_s=moment.boot_s,
                unsure=not moment.trusted,
            )
            return plan.override(ledger, wanted, moment.wall)

        return await _change(agent, progress, change, mode=mode, **_end(expires, ENDS[mode]))

    return run


def _end(expires: datetime | None, otherwise: str) -> dict[str, str | None]:
    """When what was granted ends: at a time, with the period, or only when it is taken back."""
    return {"ends": otherwise if expires is None else "time", "expires": timestamp(expires)}


async def automatic(agent: Agent, args: Args, progress: Progress) -> Out:
    return await _change(agent, progress, lambda ledger, moment: plan.override(ledger, None), mode="auto")


async def set_plan(agent: Agent, args: Args, progress: Progress) -> Out:
    """The household's plan: at once and for good, since no plan can cut the way to the broker."""
    changes = {f"plan.{name}": value for name, value in args.items()}
    await pushed_config.keep(agent, changes)
    progress(90, "taking it up")
    await agent.restart()
    return {"v": 1, "changed": changes}


def instant(text: str) -> datetime:
    """An RFC 3339 time with its offset; raises Rejected."""
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Rejected(results.INVALID_VALUE, f"not a time: {text[:40]!r}; allowed: 2027-01-31T12:00:00Z") from None
    if when.tzinfo is None:
        raise Rejected(results.INVALID_VALUE, f"the time {text[:40]!r} lacks its offset, such as Z or +01:00")
    return when.astimezone(timezone.utc)


ENDS = {"lift": "period", "force": "auto", "suspend": "auto"}  # without an expiry; auto: by throttle.auto alone
EXPIRES = {"type": "string", "maxLength": 40, "help": "RFC 3339 time; else the end of the period"}
UNTIL_AUTO = {**EXPIRES, "help": "RFC 3339 time; else it lasts until throttle.auto, through every new period"}
BY = {"type": "string", "maxLength": 64, "help": "who granted it"}
REASON = {"type": "string", "maxLength": 200, "help": "why; it stands in status and goes to the operator"}
WHY = {"reason": REASON, "expires": EXPIRES, "by": BY}
LASTING = {**WHY, "expires": UNTIL_AUTO}
RATE = {"type": "integer", "minimum": 8_000, "maximum": 10**10}

ROWS = (
    Command(
        "plan.topup",
        "grant bytes above the allowance, for this billing period or until a time",
        topup,
        args={
            "bytes": {"type": "integer", "minimum": 1, "maximum": 10**13, "required": True},
            "expires": EXPIRES,
            "id": {"type": "string", "minLength": 1, "maxLength": 64, "help": "the same id never counts twice"},
            "by": BY,
        },
        role="act",
        resource="plan",
    ),
    Command(
        "plan.set",
        "change the household's plan",
        set_plan,
        args={
            "allowance_bytes": {"type": "integer", "minimum": 1_000_000, "maximum": 10**15},
            "billing_day": {"type": "integer", "minimum": 1, "maximum": 31},
            "full_down_bps": RATE,
            "full_up_bps": RATE,
        },
        role="admin",
        resource="config",
    ),
    Command(
        "throttle.lift",
        "full speed whatever was used, until 'expires' or the end of the period",
        _override("lift"),
        args=WHY,
        role="act",
        resource="plan",
    ),
    Command(
        "throttle.force",
        "the slow speed whatever was used, until 'expires' or throttle.auto",
        _override("force"),
        args=LASTING,
        role="act",
        resource="plan",
    ),
    Command(
        "throttle.suspend",
        "nothing is shaped and counting goes on, until 'expires' or throttle.auto",
        _override("suspend"),
        args=LASTING,
        role="act",
        resource="plan",
    ),
    Command("throttle.auto", "leave the speed to the plan again", automatic, role="act", resource="plan"),
)
