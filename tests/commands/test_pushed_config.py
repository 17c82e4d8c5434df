"""A pushed configuration: tried, confirmed by the broker, or rolled back, also through restarts and reboots."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent import config as configuration
from agent.commands import config_trial, pushed_config
from agent.commands.execute import execute
from agent.config import Config
from agent.errors import ConfigError, Rejected, StoreError
from agent.mqtt import SessionState
from agent.store import Database
from tests.commands.standin import StandIn
from tests.commands.test_runner import Channel

FILE = '[plan]\nallowance_bytes = 30_000_000_000\nsteps = [{at_percent = 100, down_bps = 256000}]\n[device]\nid = "x"\n'
REBOOTED = "0a0a0a0a-0000-4000-8000-000000000002"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return configuration.load(path)


class Reporting(StandIn):
    """The session's state is what the test says."""

    shown = SessionState()

    def snapshot(self) -> Any:
        return replace(super().snapshot(), session=self.shown)


def run(tmp_path: Path, config: Config, story: Any, **more: Any) -> None:
    async def whole() -> None:
        with Reporting(tmp_path, config, instance=more.get("instance", "1")) as agent:
            agent.clock.boot_id = more.get("boot", agent.clock.boot_id)
            agent.clock.boot_s = more.get("boot_s", agent.clock.boot_s)
            await agent.outbox.open()
            now = agent.clock.now()
            agent.config = await agent.store.run(
                lambda db: pushed_config.effective(config, db, now.boot_id, now.boot_s)
            )
            await agent.runner.resume()
            await story(agent, Channel(agent))
            await agent.runner.stop()

    asyncio.run(whole())


def test_merging_keeps_the_file_and_refuses_what_the_file_could_not_hold(config: Config) -> None:
    merged = pushed_config.merged(config, {"operator.beat_s": 1800})
    assert (merged.operator.beat_s, merged.plan.allowance_bytes) == (1800, 30_000_000_000)
    assert merged.plan.steps[0].down_bps == 256_000
    assert merged.file == config.file
    for changes in ({"operator.beat_s": 0}, {"operator.nonsense": 1}, {"nonsense": 1}, {"operator.beat_s": "x"}):
        with pytest.raises(ConfigError):
            pushed_config.merged(config, changes)


@pytest.mark.parametrize("on_file", [True, False])
def test_every_kind_of_value_can_be_pushed_and_reads_as_from_the_file(config: Config, on_file: bool) -> None:
    pushed: dict[str, Any] = {
        "plan.contract_start": "2026-12-01",
        "plan.contract_end": "2027-11-30",
        "plan.warn_percent": [70, 90],
        "plan.steps": [{"at_percent": 80, "down_bps": 2_000_000}, {"at_percent": 100}],
        "plan.full_down_bps": 50_000_000,
        "wan.interfaces": ["wwan*", "usb0"],
        "modem.poll_s": 30,
        "modem.recovery": False,
        "operator.url": "mqtts://broker.test",
    }
    text = (
        "[plan]\nallowance_bytes = 30_000_000_000\ncontract_start = 2026-12-01\ncontract_end = 2027-11-30\n"
        "warn_percent = [70, 90]\nfull_down_bps = 50_000_000\n"
        "steps = [{at_percent = 80, down_bps = 2_000_000}, {at_percent = 100}]\n"
        '[device]\nid = "x"\n[wan]\ninterfaces = ["wwan*", "usb0"]\n[modem]\npoll_s = 30\nrecovery = false\n'
        '[operator]\nurl = "mqtts://broker.test"\n'
    )
    before = config if on_file else replace(config, file="")
    assert pushed_config.merged(before, pushed) == replace(configuration.parse(text), file=before.file)


@pytest.mark.parametrize("value", ["soon", "2027-02-30", "20271130", "2027-W48-2", 20271130, "2026-01-01T00:00:00"])
def test_a_pushed_date_that_is_none_is_named(config: Config, value: object) -> None:
    with pytest.raises(ConfigError, match=r"plan\.contract_end: .*a date such as"):
        pushed_config.merged(config, {"plan.contract_end": value})


def test_pushed_keys_are_judged_with_what_the_file_says(config: Config) -> None:
    begun = pushed_config.merged(config, {"plan.contract_start": "2026-12-01"})
    with pytest.raises(ConfigError, match="not before contract_start"):
        pushed_config.merged(begun, {"plan.contract_end": "2026-11-30"})


@pytest.mark.parametrize(
    "key",
    [
        "operator.beat_s = 900\n[commands]\nrequire_signature",
        '"commands".require_signature',
        "commands .require_signature",
    ],
)
def test_a_key_cannot_reach_into_another_section(config: Config, key: str) -> None:
    """`config.set` goes by the key's beginning: what says who may command stays with the device."""
    with pytest.raises(ConfigError):
        pushed_config.merged(config, {key: False})


def test_confirmed_by_reaching_the_broker(tmp_path: Path, config: Config) -> None:
    async def story(agent: Reporting, channel: Channel) -> None:
        await channel.send("config.set", "c1", {"changes": {"operator.beat_s": 1800}, "confirm_s": 60})
        await channel.until(lambda: agent.config.operator.beat_s == 1800)
        agent.shown = SessionState(connected=True, proved=True, since_boot_s=agent.clock.boot_s + 1)
        await channel.settle()
        assert (await channel.states("c1"))[-1] == "succeeded"

    run(tmp_path, config, story)

    async def later(agent: Reporting, channel: Channel) -> None:
        assert agent.config.operator.beat_s == 1800
        await channel.send("config.rollback", "c2")
        await channel.settle()
        assert (await channel.states("c2"))[-1] == "succeeded"
        assert agent.config.operator.beat_s == 900

    run(tmp_path, config, later, instance="2")


def test_rolled_back_when_the_broker_is_not_reached(tmp_path: Path, config: Config) -> None:
    async def story(agent: Reporting, channel: Channel) -> None:
        await channel.send("config.set", "c1", {"changes": {"operator.url": "mqtt://nowhere.invalid"}, "confirm_s": 60})
        await channel.until(lambda: agent.config.operator.url)
        agent.clock.boot_s += 61
        await channel.settle()
        assert (await channel.states("c1"))[-1] == "failed"
        assert "was not reached within 60 s" in (await channel.answers("c1"))[-1]["reason"]
        assert agent.config.operator.url == ""

    run(tmp_path, config, story)


@pytest.mark.parametrize("reached", [False, True])
def test_a_disk_that_refuses_for_a_while_does_not_end_the_watch_over_a_trial(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch, reached: bool
) -> None:
    """Else a configuration that keeps the broker away would stay until the next start."""
    for module in ("rows.config", "config_trial"):
        monkeypatch.setattr(f"agent.commands.{module}.STORE_RETRY_S", 0.01)

    async def story(agent: Reporting, channel: Channel) -> None:
        await channel.send("config.set", "c1", {"changes": {"operator.url": "mqtt://nowhere.invalid"}, "confirm_s": 60})
        await channel.until(lambda: agent.config.operator.url)
        works, refusals = agent.store.run, list[str]()

        async def run(fn: Any) -> Any:
            if len(refusals) < 4:
                refusals.append("full")
                raise StoreError("database or disk is full")
            return await works(fn)

        monkeypatch.setattr(agent.store, "run", run)
        if reached:
            agent.shown = SessionState(connected=True, proved=True, since_boot_s=agent.clock.boot_s + 1)
        agent.clock.boot_s += 61
        await channel.settle()
        assert len(refusals) == 4
        assert (await channel.states("c1"))[-1] == ("succeeded" if reached else "failed")
        assert agent.config.operator.url == ("mqtt://nowhere.invalid" if reached else "")

    run(tmp_path, config, story)


@pytest.mark.parametrize(
    ("boot_s", "connected", "last"), [(10.0, True, "succeeded"), (70.0, False, "failed"), (10.0, False, None)]
)
def test_a_reboot_in_between(tmp_path: Path, config: Config, boot_s: float, connected: bool, last: str | None) -> None:
    async def before(agent: Reporting, channel: Channel) -> None:
        await channel.send("config.set", "c1", {"changes": {"operator.beat_s": 1800}, "confirm_s": 60})
        await channel.until(lambda: agent.config.operator.beat_s == 1800)

    async def after(agent: Reporting, channel: Channel) -> None:
        assert agent.config.operator.beat_s == (900 if last == "failed" else 1800)
        agent.shown = SessionState(connected=connected, proved=connected, since_boot_s=boot_s + 5)
        if last is None:
            agent.clock.boot_s += 60  # the limit counts from the boot
        await channel.settle()
        assert (await channel.states("c1"))[-1] == (last or "failed")

    run(tmp_path, config, before)
    run(tmp_path, config, after, instance="2", boot=REBOOTED, boot_s=boot_s)


def test_a_configuration_that_kills_the_agent_is_given_up(tmp_path: Path, config: Config) -> None:
    async def before(agent: Reporting, channel: Channel) -> None:
        await channel.send("config.set", "c1", {"changes": {"operator.beat_s": 1800}, "confirm_s": 600})
        await channel.until(lambda: agent.config.operator.beat_s == 1800)

    run(tmp_path, config, before)
    seen: list[int] = []

    async def dies(agent: Reporting, channel: Channel) -> None:
        seen.append(agent.config.operator.beat_s)

    for number in range(pushed_config.STARTS + 1):
        run(tmp_path, config, dies, instance=f"{number + 2}")
    assert seen == [1800] * pushed_config.STARTS + [900]


@pytest.mark.parametrize(
    "changes",
    [
        {"commands.require_signature": False},
        {"commands.two_issuers": []},
        {"operator.key_file": "/tmp/x"},
        {"operator.beat_s": 0},
        {"x": 1},
        # By these the operator finds the device, or the household's neighbour.
        {"device.id": "imei::990000862471862"},
        {"operator.root": "evil"},
        {"operator.client_id": "imei::990000862471862"},
        {"operator.username": "other"},
        {"operator.root": None},
        # And these are written to as root.
        {"modem.power_gpio": "/sys/class/gpio/gpio7/value"},
        {"modem.port": "/dev/mtd0"},
        {"modem.power_cycle": ["/bin/true"]},
        {"household.led": "green:status"},
        {"household.devices": "list"},
        {"operator.beat_s": 1800, "household.led": "green:status"},
    ],
)
def test_what_cannot_be_pushed(tmp_path: Path, config: Config, changes: dict[str, Any]) -> None:
    async def story(agent: Reporting, channel: Channel) -> None:
        await channel.send("config.set", "c1", {"changes": changes})
        await channel.settle()
        assert (await channel.states("c1"))[-1] == "rejected"
        assert agent.config == config

    run(tmp_path, config, story)


def test_a_pushed_key_that_is_refused_takes_none_of_the_others_with_it(tmp_path: Path, config: Config) -> None:
    """As after an update to an agent that refuses what the one before took."""
    pushed = {"plan.billing_day": 15, "wan.interfaces": ["*"], "plan.allowance_bytes": 20_000_000_000}
    with Database.open(tmp_path / "agent.db") as database:
        database.meta.set(pushed_config.GOOD, json.dumps(pushed))
        found = pushed_config.effective(config, database, "boot", 0.0)
    assert (found.plan.billing_day, found.plan.allowance_bytes) == (15, 20_000_000_000)
    assert found.wan.interfaces == ("wwan0",)
    assert "wan.interfaces: * also means lo" in found.problem


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"wan.interfaces": ["wwan0", "*"]}, "wan.interfaces"),
        ({"plan.full_down_bps": 100_000}, "plan.full_down_bps"),
        ({"plan.steps": [{"at_percent": 90, "down_bps": 9_000}, {"at_percent": 100}]}, "plan.steps.down_bps"),
    ],
)
def test_what_makes_no_sense_cannot_be_pushed_either(config: Config, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        pushed_config.merged(config, changes)


@pytest.mark.parametrize("shown", [{"connected": True}, {"connected": False, "proved": True, "since_boot_s": 0.0}])
def test_a_connection_alone_confirms_nothing(tmp_path: Path, config: Config, shown: dict[str, Any]) -> None:
    """As at a broker that refuses what the device reports, or what it listens to."""

    async def story(agent: Reporting, channel: Channel) -> None:
        agent.shown = SessionState(**{"since_boot_s": agent.clock.boot_s + 1, **shown})
        await channel.send("config.set", "c1", {"changes": {"operator.beat_s": 1800}, "confirm_s": 60})
        await channel.until(lambda: agent.config.operator.beat_s == 1800)
        agent.clock.boot_s += 61
        await channel.settle()
        assert (await channel.states("c1"))[-1] == "failed"
        assert agent.config.operator.beat_s == 900

    run(tmp_path, config, story)


async def decided(agent: Reporting) -> dict[str, Any]:
    """What became of the last trial, once there is none any more."""
    await config_trial.decide(agent)
    return await pushed_config.last(agent)


@pytest.mark.parametrize("reached", [True, False])
def test_a_trial_is_decided_though_whoever_asked_has_gone(tmp_path: Path, config: Config, reached: bool) -> None:
    async def story(agent: Reporting, channel: Channel) -> None:
        args = {"changes": {"operator.beat_s": 60}, "confirm_s": 60}
        asking = asyncio.ensure_future(execute(agent, "config.set", args, role="admin", source="local:root (uid 0)"))
        await channel.until(lambda: agent.config.operator.beat_s == 60)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        if reached:
            agent.shown = SessionState(connected=True, proved=True, since_boot_s=agent.clock.boot_s + 1)
        else:
            agent.clock.boot_s += 61
        assert (await decided(agent))["result"] == ("confirmed" if reached else "rolled back")
        assert agent.config.operator.beat_s == (60 if reached else 900)

    run(tmp_path, config, story)


def test_a_cancelled_trial_is_rolled_back_and_says_so(tmp_path: Path, config: Config) -> None:
    async def story(agent: Reporting, channel: Channel) -> None:
        await channel.send("config.set", "c1", {"changes": {"operator.beat_s": 60}, "confirm_s": 60})
        await channel.until(lambda: agent.config.operator.beat_s == 60)
        await channel.send("agent.cancel", "k", {"id": "c1"})
        await channel.settle()
        last = (await channel.answers("c1"))[-1]
        assert (last["state"], last["out"]["result"]) == ("cancelled", "rolled back")
        assert agent.config.operator.beat_s == 900
        await channel.send("config.set", "c2", {"changes": {"operator.beat_s": 70}, "confirm_s": 60})
        await channel.until(lambda: agent.config.operator.beat_s == 70)  # and the next one is not refused

    run(tmp_path, config, story)


def test_a_plan_is_not_changed_while_a_trial_would_become_good_with_it(tmp_path: Path, config: Config) -> None:
    async def story(agent: Reporting, channel: Channel) -> None:
        args = {"changes": {"operator.url": "mqtt://nowhere.invalid"}, "confirm_s": 60}
        asking = asyncio.ensure_future(execute(agent, "config.set", args, role="admin", source="local:root (uid 0)"))
        await channel.until(lambda: agent.config.operator.url)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await channel.send("plan.set", "p", {"billing_day": 3})
        await channel.settle()
        assert (await channel.states("p"))[-1] == "rejected"

    run(tmp_path, config, story)


def test_pushed_keys_are_dropped_on_the_device_alone(tmp_path: Path, config: Config) -> None:
    """One, then all; and what was dropped does not come back by a rollback."""

    async def story(agent: Reporting, channel: Channel) -> None:
        await pushed_config.keep(agent, {"operator.beat_s": 60, "plan.billing_day": 3, "plan.count": "link"})
        await channel.send("config.drop", "d")
        await channel.settle()
        assert (await channel.answers("d"))[-1]["code"] == 7006
        local = partial(execute, agent, role="admin", source="local:root (uid 0)")
        with pytest.raises(Rejected, match="root is not pushed"):
            await local("config.drop", {"key": "operator.root"})
        out = await local("config.drop", {"key": "plan.billing_day"})
        assert out["dropped"] == ["plan.billing_day"]
        assert (agent.config.plan.billing_day, agent.config.operator.beat_s) == (1, 60)
        await local("config.drop", {})
        await local("config.rollback", {})
        assert agent.config.operator.beat_s == 900
        assert await agent.store.run(pushed_config.overlay) == {}

    run(tmp_path, config, story)


def test_a_command_ends_no_trial_but_its_own(tmp_path: Path, config: Config) -> None:
    async def story(agent: Reporting, channel: Channel) -> None:
        await channel.send("config.set", "c1", {"changes": {"operator.beat_s": 1800}, "confirm_s": 60})
        await channel.until(lambda: agent.config.operator.beat_s == 1800)
        await config_trial.roll_back(agent, "c0", "the command was cancelled")
        on_trial = await agent.store.run(pushed_config.trial)
        assert on_trial is not None
        assert on_trial.id == "c1"

    run(tmp_path, config, story)
