"""The contract's SIM: recognised, and a foreign one's bytes are never the contract's."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from agent.config import parse
from agent.errors import ConfigError
from agent.plan import Ledger, Moment, Plan, Sample, Trust, charge_management, observe, settle, usage
from agent.plan.counters import Epoch
from agent.plan.sim import belongs, label, read_card

ICCID, IMSI = "8932010000000000017", "206011234567890"
OTHER = "8933010000000000025"
START = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("rules", "iccid", "imsi", "own"),
    [
        ((), ICCID, IMSI, None),
        ((ICCID,), ICCID, None, True),
        ((ICCID,), ICCID + "F", None, True),  # filled up to twenty
        ((ICCID,), ICCID[:-1], None, True),  # without its check digit
        ((ICCID,), OTHER, IMSI, False),
        ((ICCID,), None, IMSI, None),  # the number that would tell was not read
        (("893201*",), ICCID, None, True),
        (("893201*",), OTHER, None, False),
        (("20601*",), OTHER, IMSI, True),
        (("20601*",), ICCID, "206101234567890", False),
        (("206010000000000-206011999999999",), None, IMSI, True),
        (("206012000000000-206019999999999",), None, IMSI, False),
        ((OTHER, "20601*"), ICCID, IMSI, True),
        ((OTHER, "20610*"), ICCID, IMSI, False),
        ((OTHER, "20610*"), ICCID, None, None),
    ],
)
def test_whose_card_it_is(rules: tuple[str, ...], iccid: str | None, imsi: str | None, own: bool | None) -> None:
    assert belongs(rules, iccid, imsi) is own


@pytest.mark.parametrize("rule", ["1234*", "89", "8932-", "893201**", "20601 *", "x", ""])
def test_a_rule_that_says_nothing_is_refused_by_name(rule: str) -> None:
    with pytest.raises(ConfigError, match=r"plan\.sim: not allowed"):
        parse(f'[plan]\nsim = ["{rule}"]\n')


def test_the_label_shows_no_number() -> None:
    assert ICCID not in label(ICCID)
    assert label(ICCID) == label(ICCID) != label(OTHER)
    assert label(ICCID).startswith("893201***********17 ")


class House:
    """One household over time: reads counters, and which card is in the module."""

    def __init__(self, plan: Plan, *, trusted: bool = True) -> None:
        self.plan, self.trusted, self.boot_s = plan, trusted, 100.0
        self.counter = (0, 0)
        self.ledger = Ledger.new(plan, self.moment())
        self.carry(0, 0)

    def moment(self) -> Moment:
        wall = START + timedelta(seconds=self.boot_s - 100)
        return Moment(wall, self.boot_s, "boot", Trust.SYNC if self.trusted else Trust.UNSYNC)

    def card(self, iccid: str | None, imsi: str | None = None) -> str | None:
        self.ledger, before = read_card(self.ledger, self.plan, self.moment(), iccid, imsi)
        return before

    def carry(self, received: int, sent: int) -> None:
        self.boot_s += 60
        self.counter = self.counter[0] + received, self.counter[1] + sent
        sample = Sample(Epoch("boot", 3, "wwan0"), self.boot_s, *self.counter)
        self.ledger, _ = observe(self.ledger, sample, self.moment(), self.plan)


PLAN = Plan(sim=(ICCID,), count="link")


def test_a_foreign_cards_bytes_are_counted_apart_and_the_contracts_go_on_after_it() -> None:
    house = House(PLAN)
    house.card(ICCID)
    house.carry(5_000, 1_000)
    assert house.card(OTHER) == label(ICCID)
    assert house.ledger.foreign
    house.carry(70_000, 10_000)
    used = usage(house.ledger, PLAN)
    assert (used.charged_bytes, used.foreign_bytes) == (6_000, 80_000)
    assert (used.received_bytes, used.sent_bytes) == (75_000, 11_000)  # the link's own count is whole
    house.card(ICCID)
    house.carry(400, 0)
    used = usage(house.ledger, PLAN)
    assert (used.charged_bytes, used.foreign_bytes) == (6_400, 80_000)


@pytest.mark.parametrize("charge", ["sum", "received", "sent"])
def test_each_way_of_charging_leaves_it_out(charge: str) -> None:
    plan = Plan(sim=(ICCID,), count="link", charge=charge)
    house = House(plan)
    house.card(OTHER)
    house.carry(70_000, 10_000)
    house.ledger = charge_management(house.ledger, 1_000, 1_000)  # the agent's own, over that card
    house.card(ICCID)
    house.carry(3, 5)
    assert usage(house.ledger, plan).charged_bytes == {"sum": 8, "received": 3, "sent": 5}[charge]


def test_nobody_is_slowed_by_a_foreign_card() -> None:
    plan = Plan(sim=(ICCID,), count="link", allowance_bytes=1_000_000)
    house = House(plan)
    house.card(OTHER)
    for _ in range(3):
        house.carry(900_000, 0)
    assert usage(house.ledger, plan).percent == 0


def test_without_a_trusted_clock_it_is_apart_as_well() -> None:
    house = House(PLAN, trusted=False)
    house.card(OTHER)
    house.carry(70_000, 0)
    house.card(ICCID)
    house.carry(3, 0)
    assert (usage(house.ledger, PLAN).charged_bytes, usage(house.ledger, PLAN).foreign_bytes) == (3, 70_000)
    house.trusted = True
    house.ledger = settle(house.ledger, house.moment(), PLAN)
    assert (usage(house.ledger, PLAN).charged_bytes, usage(house.ledger, PLAN).foreign_bytes) == (3, 70_000)


def test_a_new_period_begins_with_neither() -> None:
    house = House(PLAN)
    house.card(OTHER)
    house.carry(70_000, 0)
    house.boot_s += 10 * 86_400
    house.carry(500, 0)  # most of it before the new period began: it is shared out over the time
    used = usage(house.ledger, PLAN)
    assert 0 < used.foreign_bytes == used.received_bytes < 500
    assert used.charged_bytes == 0


def test_a_card_that_is_not_read_leaves_everything_as_it_was() -> None:
    house = House(PLAN)
    house.card(OTHER)
    assert house.card(None) is None
    assert house.card(None, IMSI) == label(OTHER)  # another number, and no rule about it
    assert house.ledger.foreign


def test_the_same_card_is_no_swap_and_the_first_neither() -> None:
    house = House(PLAN)
    assert house.card(ICCID) is None
    assert house.card(ICCID) is None
    assert house.ledger.sim_since is None
    assert house.card(OTHER) == label(ICCID)
    assert house.ledger.sim_since is not None


def test_without_a_rule_no_card_is_foreign() -> None:
    house = House(Plan(count="link"))
    house.card(ICCID)
    assert house.card(OTHER) == label(ICCID)  # a swap is reported all the same
    house.carry(10, 0)
    assert (house.ledger.foreign, usage(house.ledger, house.plan).charged_bytes) == (False, 10)


def test_it_survives_the_disk() -> None:
    house = House(PLAN)
    house.card(ICCID)
    house.card(OTHER)
    house.carry(70_000, 5)
    assert Ledger.from_dict(house.ledger.to_dict()) == house.ledger
