"""Late, in any order, more than once: the operator's counts end the same, and never touch the own one."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import pytest

from agent.errors import PlanError
from agent.plan import Ledger, Plan, Trust, usage
from agent.plan.ledger import correction_bytes
from tests.plan.metered import GB, Metered

LIVES, ORDERS = 200, 5  # ten times over


@dataclass(frozen=True)
class Step:
    """What happens to the household, whatever the operator says of it."""

    bytes_: int
    seconds: float
    reboot: bool
    trust: Trust
    save: bool
    topup: str


def steps(dice: random.Random) -> list[Step]:
    """Over the end of a month."""
    return [
        Step(
            int(dice.uniform(0, 6 * GB)),
            dice.choice((60.0, 1800.0, 7200.0, 86_400.0, 5 * 86_400.0)),
            dice.random() < 0.3,
            dice.choice((Trust.SYNC, Trust.STORED)),
            dice.random() < 0.5,
            f"t{n}" if dice.random() < 0.2 else "",
        )
        for n in range(dice.randint(3, 6))
    ]


def live(seed: int, shuffled: int = 0) -> Metered:
    """The same household, and the same counts of the operator; `shuffled`: late, in any order, more than once."""
    dice, order = random.Random(seed), random.Random(f"{seed} {shuffled}")
    home = Metered(Plan(allowance_bytes=10 * GB))  # so small that it is used up
    told: list[tuple[str, datetime, int, str, bool]] = []
    for number, step in enumerate(steps(dice)):
        home.use(step.bytes_, seconds=step.seconds)
        if step.topup:
            home.grant(step.topup, 2 * GB)
        if step.save:
            home.save()
        if step.reboot:
            home.ledger = Ledger.from_dict(home.ledger.to_dict())
            home.reboot(f"boot-{number}", trust=step.trust)
            home.look()
        as_of = home.clock.wall - timedelta(seconds=dice.choice((0, 300, 40_000)))
        label = f"{as_of.astimezone(timezone(timedelta(hours=1))):%Y-%m}-01"
        used = max(0, home.own + int(dice.uniform(-2, 3) * GB))
        if dice.random() < 0.6:
            told.append((label, as_of, used, dice.choice(("pcrf", "bill")), dice.random() < 0.7))
        due = [one for one in told if not shuffled or order.random() < 0.5]
        order.shuffle(due)
        for one in due if shuffled else told[-1:]:
            deliver(home, one)
    for one in [*told, *told] if shuffled else sorted(told, key=lambda one: one[1]):
        deliver(home, one)
    home.clock.set_trust(Trust.SYNC)
    home.use(0, seconds=2 * 3600)
    return home


def deliver(home: Metered, told: tuple[str, datetime, int, str, bool]) -> None:
    period, as_of, used, source, follow = told
    own = home.ledger.total_received_bytes, home.own
    with contextlib.suppress(PlanError):
        home.reconcile(used, as_of, period=period, source=source, follow=follow)
    assert (home.ledger.total_received_bytes, home.own) == own, "the own count is nobody else's"
    correct(home)


def correct(home: Metered) -> None:
    ledger, used = home.ledger, usage(home.ledger, home.plan)
    correction = correction_bytes(ledger.operator_counts)
    assert used.charged_bytes == max(0, home.own + correction)
    extra = sum(t.amount_bytes for t in ledger.topups)
    assert used.limit_bytes == home.plan.allowance_bytes + extra + ledger.forgiven_bytes


def state(home: Metered) -> tuple[object, ...]:
    """All but how often in a row the meters were apart, which counts messages."""
    ledger, before = home.ledger, home.ledger.previous
    return (
        home.own,
        home.charged,
        ledger.forgiven_bytes,
        [replace(c, apart=0) for c in ledger.operator_counts],
        ledger.waiting_counts,
        before and [replace(c, apart=0) for c in before.operator_counts],
        before and (before.forgiven_bytes, before.received_bytes, before.sent_bytes),
    )


@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_orders_end_the_same(part: int) -> None:
    for seed in range(part * LIVES, (part + 1) * LIVES):
        expected = state(live(seed))
        for shuffled in range(1, ORDERS + 1):
            assert state(live(seed, shuffled)) == expected, f"seed {seed}, {shuffled}"
