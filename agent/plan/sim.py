"""Whose SIM is in the module: usage belongs to the contract, and a contract is bound to its card. Pure.

Called by the daemon with what was read off the card. A card that is not the contract's (`plan.sim`) has its bytes
counted apart, and nothing else changes: the line stays as it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

from agent.plan.ledger import Ledger
from agent.plan.model import Moment, Plan

# An ICCID begins with 89, the telecom industry's number in ITU-T E.118; an IMSI with a country code, 2 to 7 or 9.
_ICCID_START = "89"


def belongs(rules: tuple[str, ...], iccid: str | None, imsi: str | None) -> bool | None:
    """Whether the card is one of the contract's. None: no rule, or the number that would tell was not read."""
    told = [_fits(rule, iccid if rule.startswith(_ICCID_START) else imsi) for rule in rules]
    if any(told):
        return True
    return None if None in told or not told else False


def _fits(rule: str, number: str | None) -> bool | None:
    """A whole number, the beginning of one with a star behind it, or a range of numbers with both ends."""
    if not number:
        return None
    digits = number.rstrip("Ff")  # ICCIDs of 19 digits are filled up (TS 102 221 13.2)
    low, _, high = rule.partition("-")
    if rule.endswith("*"):
        return digits.startswith(rule[:-1])
    if high:
        length = min(len(low), len(digits))  # the check digit of an ICCID is printed, and left out by some modules
        return low[:length] <= digits[:length] <= high[:length]
    return digits[: len(low)] == low[: len(digits)]


def label(number: str) -> str:
    """What tells one card from another in a log: the first six digits and the last two, and a digest."""
    digest = hashlib.blake2b(number.encode(), digest_size=6).hexdigest()
    return f"{number[:6]}{'*' * max(0, len(number) - 8)}{number[-2:]} {digest}"


def read_card(
    ledger: Ledger, plan: Plan, moment: Moment, iccid: str | None, imsi: str | None
) -> tuple[Ledger, str | None]:
    """The ledger with this card in the module, and the label of the card before it where it was another. A card of
    which nothing can be read, and a module without one, leave everything as it was."""
    number = iccid or imsi
    if number is None:
        return ledger, None
    known = belongs(plan.sim, iccid, imsi)
    foreign = ledger.foreign if known is None and plan.sim else known is False
    now, before = label(number), ledger.sim
    if now == before:
        return replace(ledger, foreign=foreign), None
    since: datetime | None = moment.wall if before else None
    return replace(ledger, foreign=foreign, sim=now, sim_before=before, sim_since=since), before or None
