"""Roll-outs: rings in a fixed order, stopping by themselves, going on after the desk was away."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.support.rollout import state_file
from agent.support.rollout.plan import ASKED, FAILED, GOOD, REFUSED, WAITING, Rollout, order
from agent.support.rollout.run import table
from tests.commands.test_runner import Channel
from tests.mqtt.broker import Mosquitto
from tests.support.home import home
from tests.support.publisher import support

FLEET = [f"imei::{number:015d}" for number in range(500)]
RINGS = [0.01, 0.1, 1.0]


def begun(devices: list[str] = FLEET, rings: list[float] = RINGS) -> Rollout:
    return Rollout.begin(devices, "0.2.0", rings, {})


def roll(rollout: Rollout, bad: set[str], stop_at: float = 0.02) -> Rollout:
    """Each device that is asked answers in the next step, until it stops or is through."""
    now_s = 0.0
    while not rollout.finished and not rollout.too_many(stop_at):
        for name in rollout.due(FLEET):
            turn = rollout.turns[name]
            turn.state, turn.id = ASKED, name
        for name, turn in rollout.turns.items():
            if turn.state == ASKED:
                state = "failed" if name in bad else "succeeded"
                assert rollout.answered(name, turn.id, state, "restored", now_s)
                if rollout.too_many(stop_at):
                    return rollout
        now_s += 100_000.0
        rollout.advance((), now_s, 86_400.0, ())
    return rollout


def test_rings_are_the_same_at_each_run_and_others_for_each_release() -> None:
    assert order(FLEET, "1") == order(reversed(FLEET), "1")
    assert order(FLEET, "1") != order(FLEET, "2")
    rollout = begun()
    assert [len(rollout.members(ring)) for ring in range(3)] == [5, 45, 450]
    assert sorted(name for ring in range(3) for name in rollout.members(ring)) == FLEET


@pytest.mark.parametrize("devices", [1, 2, 7])
def test_a_small_fleet_has_rings_too(devices: int) -> None:
    rollout = begun(FLEET[:devices])
    assert sum(len(rollout.members(ring)) for ring in range(3)) == devices
    assert roll(rollout, set()).counts() == {GOOD: devices}


def test_a_good_version_reaches_everybody() -> None:
    assert roll(begun(), set()).counts() == {GOOD: 500}


def test_a_bad_version_touches_less_than_three_percent_of_a_ring() -> None:
    """Of a ring of 500: 2 % of it is never reached, since what fails first is seen before more are asked."""
    rollout = roll(begun(rings=[1.0]), set(FLEET))
    touched = 500 - rollout.counts()[WAITING]
    assert touched < 0.03 * 500
    assert rollout.counts()[FAILED] == 1


def test_two_in_a_hundred_stop_it_at_the_first_of_them() -> None:
    """Scattered failures: it stops at the first one among the first fifty, else as soon as their share is reached."""
    dice = random.Random(4)
    for _ in range(20):
        bad = set(dice.sample(FLEET, 10))
        rollout = roll(begun(rings=[1.0]), bad)
        counts = rollout.counts()
        touched = 500 - counts[WAITING]
        assert rollout.too_many(0.02) == (not rollout.finished)
        assert counts[FAILED] <= max(1, 0.02 * touched + 1)


def test_a_device_that_says_nothing_has_failed() -> None:
    rollout = begun()
    first = rollout.due(FLEET)[0]
    rollout.turns[first].state, rollout.turns[first].id, rollout.turns[first].asked_s = ASKED, "1", 1000.0
    assert rollout.overdue(1000.0 + 7200, 7200) == []
    assert rollout.overdue(1000.0 + 7201, 7200) == [first]
    assert rollout.too_many(0.02)
    assert not rollout.answered(first, "1", "succeeded", "", 9000.0)


def test_a_device_that_refuses_speaks_not_against_the_version() -> None:
    rollout = begun()
    first = rollout.due(FLEET)[0]
    rollout.turns[first].state, rollout.turns[first].id = ASKED, "1"
    assert rollout.answered(first, "1", "rejected", "the line is slow now", 0.0)
    assert rollout.turns[first].state == REFUSED
    assert not rollout.too_many(0.02)
    rollout.runs_already({FLEET[0]: "0.1.0", first: "0.1.0"})
    assert rollout.turns[first].state == WAITING
    rollout.runs_already({first: "0.2.0"})
    assert rollout.turns[first].state == GOOD


def test_the_next_ring_waits_for_the_soak_and_looks_who_is_lost() -> None:
    rollout = begun()
    for name in rollout.members(0):
        rollout.turns[name].state = GOOD
    assert not rollout.advance((), 0.0, 86_400, ())
    assert not rollout.advance((), 86_399.0, 86_400, ())
    assert rollout.advance((), 86_400.0, 86_400, [rollout.members(0)[0]])
    assert rollout.counts()[FAILED] == 1
    assert rollout.too_many(0.02)


def test_who_is_away_keeps_no_ring_open_and_is_asked_later() -> None:
    rollout = begun()
    away, *others = rollout.members(0)
    for name in others:
        rollout.turns[name].state = GOOD
    there = [name for name in FLEET if name != away]
    assert rollout.due(there) == []
    assert not rollout.advance([away], 0.0, 10, ())
    assert rollout.advance([away], 10.0, 10, ())
    assert rollout.due(FLEET)[0] == away


def test_its_file_is_read_again_and_a_bad_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "update.json"
    assert state_file.load(path) is None
    rollout = roll(begun(), set(FLEET))
    state_file.save(path, rollout)
    assert state_file.load(path) == rollout
    path.write_text("{}")
    with pytest.raises(ConfigError, match="not a roll-out's file"):
        state_file.load(path)


def test_the_table_has_a_row_a_ring() -> None:
    rows = table(roll(begun(), set()))
    assert [(row["ring"], row["devices"], row["good"], row["state"]) for row in rows] == [
        ("1%", 5, 5, "done"), ("10%", 45, 45, "done"), ("100%", 450, 450, "done")]  # fmt: skip


# -- over a broker -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, 3])
def test_a_fleet_of_three_over_a_broker(broker: Mosquitto, tmp_path: Path, bad: int) -> None:
    devices = order(["one", "two", "three"], "0.9.0")
    package, file, ran = tmp_path / "modem-agent_0.9.0_all.deb", tmp_path / "update.json", list[str]()
    package.write_bytes(b"package")
    words = ["update", "0.9.0", "--state", str(file), "--rings", "40%,100%", "--soak", "0", "--json"]
    first = [*words, "--package", str(package), "--url", "https://example.org/modem-agent_0.9.0_all.deb"]

    async def story() -> None:
        async with (
            home(tmp_path / "1", broker.url, devices[0], ran, set(devices[:bad])) as a,
            home(tmp_path / "2", broker.url, devices[1], ran, set(devices[:bad])) as b,
            home(tmp_path / "3", broker.url, devices[2], ran, set(devices[:bad])) as c,
        ):
            for agent in (a, b, c):
                await Channel(agent).until(lambda agent=agent: agent.session.state.proved)  # type: ignore[misc]
            ended = await support("--broker", broker.url, *first)
            assert ended.status == (1 if bad else 0), ended.problem
            assert ran == [f"{name} 0.9.0" for name in (devices[:1] if bad else devices)]
            assert ended.json["devices"][devices[0]][0] == (FAILED if bad else GOOD)
            again = await support("--broker", broker.url, *words)
            assert again.json == ended.json
            assert len(ran) == (1 if bad else 3)

    asyncio.run(story())
    assert json.loads(file.read_text())["version"] == "0.9.0"


def test_what_is_asked_for_wrongly_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        for words, said in (
            (["--rings", "10%,1%"], "rings rise and end with 100%"),
            (["--stop-at", "2"], "is no share such as 2%"),
            (["--show", "--state", str(tmp_path / "none")], "no such roll-out"),
        ):
            ended = await support("--broker", "mqtt://127.0.0.1:1", "update", "0.9.0", *words)
            assert ended.status == 2
            assert said in ended.problem

    asyncio.run(story())
