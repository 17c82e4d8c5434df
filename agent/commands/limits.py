"""What commands from afar may cost: text messages and diagnosis by the day, top-ups by the month of each issuer.

Counted on the flash before anything is spent, and after it is known who asks: a restart, a cut or damage gives nothing
back. A technician on the device is not limited.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.commands import results, tally
from agent.commands.agent import Agent
from agent.commands.command import Progress
from agent.commands.tally import Span
from agent.errors import Rejected
from agent.keeper import Change, Tables
from agent.plan.model import Moment
from agent.store.database import Database

SHORTEST_NUMBER = 7  # digits; shorter ones are emergency, premium or service numbers (BIPT, numbering plan: 3 to 6)
# Numbers that cost more than others. Belgium, royal decree of 27 April 2007 on numbering, art. 50: 070, 077 and 090x;
# ITU-T E.164, list of assigned country codes: 870 and 881 to 883 satellite and global networks, 878 personal numbers,
# 979 premium rate.
PREMIUM = ("3270", "3277", "3290", "870", "878", "881", "882", "883", "979")
BELGIUM = "32"


def number_problem(number: str, allowed: Sequence[str]) -> str:
    """Why no message may go to this number; empty when one may. `allowed` are patterns; none: all usual numbers."""
    if allowed:
        named = any(fnmatch.fnmatchcase(number, pattern) for pattern in allowed)
        return "" if named else f"{number} is not in commands.sms_allow"
    international = re.sub(r"^(\+|00)", "", number)
    if international == number:  # as dialled within the country
        international = BELGIUM + number.removeprefix("0")
    if len(number.lstrip("+0")) < SHORTEST_NUMBER:
        return f"{number} is a short number: an emergency, premium or service number"
    if international.startswith(PREMIUM):
        return f"{number} is a premium number"
    return ""


@dataclass(frozen=True, slots=True)
class Limit:
    """So much under one name, in a day or month."""

    name: str
    most: int
    span: Span
    unit: str


def messages(agent: Agent) -> Limit:
    return Limit("sms", agent.config.commands.sms_per_day, tally.DAY, "messages")


def diagnosis(agent: Agent) -> Limit:
    return Limit("diag", agent.config.commands.diag_bytes_day, tally.DAY, "bytes of diagnosis")


def topups(agent: Agent, issuer: str) -> tuple[Limit, Limit]:
    """Number and bytes. Without keys an issuer's name is only what he says: then all share one account."""
    settings = agent.config.commands
    account = issuer if settings.keys_file else ""
    return (
        Limit(f"topups {account}", settings.topups_month, tally.MONTH, "top-ups"),
        Limit(f"topup bytes {account}", settings.topup_bytes_month, tally.MONTH, "bytes of top-ups"),
    )


def counting(limit: Limit, amount: int, moment: Moment, *, refuses: bool = True) -> Tables:
    """A change of the store's tables: so much more, or Rejected."""

    def count(database: Database) -> None:
        text = database.tallies()
        used = tally.used(text, limit.name, limit.span, moment)
        if refuses and used + amount > limit.most:
            raise Rejected(
                results.RESOURCES_EXCEEDED,
                f"{amount} {limit.unit} would make {used + amount} of {limit.most} this {limit.span.name}",
            )
        database.set_tallies(tally.added(text, limit.name, amount, limit.span, moment))

    return count


async def take(agent: Agent, progress: Progress, limit: Limit, amount: int) -> None:
    """Count it before it is spent. Raises Rejected."""
    if progress.id:
        await agent.keeper.do(Change(tables=counting(limit, amount, agent.clock.now())))


async def settle(agent: Agent, progress: Progress, limit: Limit, amount: int) -> None:
    """So much more was spent than was taken, or so much less."""
    if progress.id and amount:
        await agent.keeper.do(Change(tables=counting(limit, amount, agent.clock.now(), refuses=False)))
