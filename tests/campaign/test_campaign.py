"""The campaign's short form, that its seed repeats it, and that its oracle is no decoration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.commands import pushed_config
from agent.keeper import Change
from agent.plan import Ledger, OperatorCount
from agent.store import Database
from agent.traffic.netlink.messages import Filter, Node
from agent.traffic.netlink.route import ETH_P_ALL, INGRESS_HANDLE, INGRESS_PARENT
from tests.campaign import weather
from tests.campaign.life import campaign_config
from tests.campaign.netlink import CLSACT_INGRESS
from tests.campaign.story import Story, campaign

SHORT = 80


@pytest.mark.timeout(300)
def test_a_short_campaign_finds_nothing() -> None:
    story = campaign(3, SHORT)
    assert story.oracle.violations == []
    assert sum(story.faults.values()) >= SHORT
    assert story.oracle.checks["bytes"] > SHORT
    assert story.oracle.checks["month"] > 0
    assert story.oracle.checks["restart"] > 0
    assert story.oracle.checks["traffic"] > SHORT
    assert story.oracle.checks["line named"] > 0
    assert story.oracle.checks["correction"] > 0
    assert story.oracle.finals
    assert {weather.kind_of(name) for name in story.faults} == set(weather.KINDS)


@pytest.mark.timeout(300)
def test_a_seed_repeats_a_campaign() -> None:
    first, second = campaign(5, 25), campaign(5, 25)
    assert first.faults == second.faults
    assert first.usage == second.usage
    assert first.world.truth_bytes == second.world.truth_bytes > 0


def double_count(story: Story) -> None:
    ledger = story.life.accounting.ledger
    story.life.keeper.ledger = replace(ledger, total_received_bytes=ledger.total_received_bytes + 1)


def forget(story: Story) -> None:
    ledger = story.life.accounting.ledger
    story.life.keeper.ledger = replace(ledger, total_sent_bytes=ledger.total_sent_bytes - 1)


def run_again(story: Story) -> None:
    story.oracle.ran.update(dict.fromkeys(story.oracle.issued, 2))


def swallow(story: Story) -> None:
    """A broker's message that never reached the operator."""
    for key in list(story.received._bodies)[:3]:
        del story.received._bodies[key]


def invent(story: Story) -> None:
    """A count that the operator never sent corrects what is used."""
    ledger = story.life.accounting.ledger
    count = OperatorCount("pcrf", story.world.now, 77, follow=True, own_bytes=0)
    story.life.keeper.ledger = replace(ledger, operator_counts=(count,))


def promise_only(story: Story) -> None:
    """Top-ups are answered and not granted."""

    keeper = story.life.keeper
    carry_out = keeper._carry_out

    async def forgetful(change: Change) -> Ledger:
        return await carry_out(replace(change, ledger=None, out=None) if change.entries else change)

    keeper._carry_out = forgetful  # type: ignore[method-assign]


def lead_nowhere(story: Story) -> None:
    """What comes in goes to a device that is gone."""
    link = story.world.link
    if link is not None:
        link.qdiscs.append(Node("clsact", INGRESS_HANDLE, INGRESS_PARENT, ifindex=link.ifindex))
        story.world.tables.hang(link, Filter("matchall", CLSACT_INGRESS, 1, ETH_P_ALL, 1))


def sweep(story: Story) -> None:
    """Whatever is an ifb is taken for ours."""
    weather.foreign_ifb(story)
    for device in [one for one in story.world.tables.devices.values() if one.kind == "ifb"]:
        story.world.tables.leave(device)


def trust(story: Story) -> None:
    """A connection that stands is taken for a line that lives."""
    story.world.silent_since_s = story.world.silent_since_s or story.world.loop.time()
    story.life.recovering._note = lambda cause: None  # type: ignore[method-assign]


def despair(story: Story) -> None:
    story.life.recovering.cause = "operator-outage"
    story.life.recovering._note = lambda cause: None  # type: ignore[method-assign]


def let_in(story: Story) -> None:
    story.life.lock.close()
    weather.second_agent(story)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("sabotage", "told"), [
    (lead_nowhere, "nothing passes on"), (sweep, "ifb4eth1 of another program is gone"), (let_in, "a second agent"),
    (trust, "s, and is called none"), (despair, "s, and is called operator-outage"),
    (promise_only, "was answered succeeded, granted: False"),
    (invent, "the operator never said 77"),
    (double_count, "1 phantom bytes"), (forget, "1 bytes lost"), (run_again, " times"), (swallow, "gap"),
])  # fmt: skip
def test_the_oracle_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch, sabotage: weather.Strike, told: str) -> None:
    calm = {kind: weather.WEATHER[kind] for kind in ("burst of traffic", "command sent twice")}
    monkeypatch.setattr(weather, "WEATHER", calm)
    monkeypatch.setattr("tests.campaign.story.WEATHER", {**calm, "sabotage": weather.Fault("test", 30, sabotage)})
    story = campaign(9, 14)
    assert story.faults["sabotage"]
    assert any(told in sentence for sentence in story.oracle.violations)


def test_a_pushed_configuration_that_keeps_the_broker_away_is_rolled_back(tmp_path: Path) -> None:
    """In its limit it is in force, out of it the last good one; a reboot in between starts its limit anew, once."""
    config = campaign_config(1)
    bad = {"operator.url": "mqtt://away.test"}
    with Database.open(tmp_path / "agent.db") as database, database.transaction():
        pushed_config.begin(database, pushed_config.Trial("c1", bad, "boot-1", 100.0, 300.0))
        assert pushed_config.effective(config, database, "boot-1", 200.0).operator.url.endswith("away.test")
        assert pushed_config.effective(config, database, "boot-2", 20.0).operator.url.endswith("away.test")
        assert pushed_config.effective(config, database, "boot-2", 301.0).operator.url == config.operator.url
        assert pushed_config.effective(config, database, "boot-3", 5.0).operator.url == config.operator.url
        assert pushed_config.trial(database) is None
