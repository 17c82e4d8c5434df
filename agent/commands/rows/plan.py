"""Commands that change what the household may use: the ledger, the journal and the answer in one transaction."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from agent import plan
from agent.commands import limits, pushed_config, results
from agent.commands.agent import Agent
from agent.commands.command import Args, Command, Out, Progress, Run, Schema, allows
from agent.errors import Rejected
from agent.keeper import Change, LedgerChange, Tables, as_it_stands
from agent.plan import Ledger, Moment
from agent.status import operator_count_dict, timestamp, usage_dict
from agent.store.database import Database

if TYPE_CHECKING:
    from agent.command_schema import Rule


async def _change(
    agent: Agent, progress: Progress, change: LedgerChange, tables: Tables | None = None, **more: object
) -> Out:
    """Apply a pure change to the ledger; the answer is in its transaction."""

    def out(ledger: Ledger) -> Out:
        return {"v": 1, **more, "usage": usage_dict(plan.usage(ledger, agent.config.plan))}

    return await progress.conclude(change, out, tables)


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

    return await _change(agent, progress, change, _counted(agent, progress, args["bytes"]), id=identity)


def _counted(agent: Agent, progress: Progress, amount: int) -> Tables:
    """What its issuer grants this month, in the transaction of the ledger: what is not granted is not counted."""
    moment = agent.clock.now()
    number, size = limits.topups(agent, progress.issuer)

    def count(database: Database) -> None:
        limits.counting(number, 1, moment)(database)
        limits.counting(size, amount, moment)(database)

    return count


async def reconcile(agent: Agent, args: Args, progress: Progress) -> Out:
    """Take the operator's own count. The same source and instant never count twice."""
    count = plan.OperatorCount(
        source=args["source"],
        as_of=instant(args["as_of"]),
        used_bytes=args["used_bytes"],
        follow=args["mode"] == "follow",
        period=args["period"],
        unlimited=allows(progress.role, "admin"),
    )
    await agent.refresh()
    found: list[plan.OperatorCount] = []

    def measure(database: Database) -> None:
        """In the transaction that saves the ledger: each hour stands either in it or in the history."""
        ledger = database.load_ledger()
        assert ledger is not None
        hours = (*database.history.since(count.as_of), *ledger.hours)
        found.append(plan.measured(ledger, count, hours, agent.config.plan))

    await agent.keeper.do(Change(ledger=as_it_stands, tables=measure))
    measured = found[-1]
    if plan.is_large(measured, agent.config.plan) and not measured.unlimited:
        more = f"a correction of {measured.difference_bytes} bytes at the household's expense"
        raise Rejected(results.PERMISSION_DENIED, f"{more} needs the role admin, not {progress.role}")

    def out(ledger: Ledger) -> Out:
        usage = usage_dict(plan.usage(ledger, agent.config.plan))
        return {"v": 1, "count": operator_count_dict(measured), "usage": usage}

    return await progress.conclude(
        lambda ledger, moment: plan.reconcile(ledger, measured, moment, agent.config.plan), out
    )


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

        return await _change(agent, progress, change, None, mode=mode, **_end(expires, ENDS[mode]))

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
EXPIRES: Rule = {"type": "string", "maxLength": 40, "help": "RFC 3339 time; else the end of the period"}
UNTIL_AUTO: Rule = {**EXPIRES, "help": "RFC 3339 time; else it lasts until throttle.auto, through every new period"}
BY: Rule = {"type": "string", "maxLength": 64, "help": "who granted it"}
REASON: Rule = {"type": "string", "maxLength": 200, "help": "why; it stands in status and goes to the operator"}
WHY: Schema = {"reason": REASON, "expires": EXPIRES, "by": BY}
LASTING: Schema = {**WHY, "expires": UNTIL_AUTO}
RATE: Rule = {"type": "integer", "minimum": 8_000, "maximum": 10**10}

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
        "plan.reconcile",
        "take the operator's own count: show it beside what was counted here, or correct what is used by it",
        reconcile,
        args={
            "period": {
                "type": "string",
                "pattern": r"^\d{4}-\d{2}-\d{2}$",
                "required": True,
                "help": "first day of the billing period, such as 2026-11-01",
            },
            "used_bytes": {"type": "integer", "minimum": 0, "maximum": 10**15, "required": True},
            "as_of": {"type": "string", "maxLength": 40, "required": True, "help": "RFC 3339 time of that count"},
            "source": {
                "type": "string",
                "pattern": r"^[\w.-]{1,32}$",
                "required": True,
                "help": "which meter, such as pcrf: 1 to 32 letters, digits, '.', '_' or '-'",
            },
            "mode": {
                "type": "string",
                "enum": ["tell", "follow"],
                "default": "tell",
                "help": "tell: shown only; follow: the difference counts",
            },
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
