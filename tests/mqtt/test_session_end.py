"""How a session begins and ends, what it says of itself, and what it costs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.events import Charged, RetainedLost
from agent.mqtt.transport import Accepted, Closed, Event, Published, Refused, Subscribed, Target
from agent.net.wire_cost import Cost
from tests.commands.standin import FAST, StandIn, config_for
from tests.mqtt.scripted_connection import Home, live, reported


@pytest.mark.parametrize(("silent", "fault"), [(True, "session-silent"), (False, "session-lost")])
def test_a_connection_that_ends_says_how(tmp_path: Path, silent: bool, fault: str) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        home.agent.clock.boot_s += 50
        home.line.tell(Closed(0x8B, "", silent=silent))
        await home.until(lambda: not home.session.state.connected)
        assert home.session.state.last_error == "reason code 0x8b"
        assert home.session.state.since_boot_s == home.agent.clock.boot_s
        assert home.session.state.attempts == 1
        assert home.session.faults == {f"operator.{fault}": 1}

    live(tmp_path, story)


def test_the_will_the_birth_and_the_state_bear_one_session_number(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        first = home.line
        will, birth = json.loads(first.will.payload), first.bodies("/status")[0]
        assert first.will.topic == first.published[0].topic == home.agent.topics.status
        assert first.will.retain
        assert first.published[0].retain
        assert (will["state"], birth["state"]) == ("lost", "online")
        assert will["session"] == birth["session"] == home.session.state.session == 1
        assert birth["nonce"] == home.session.nonce != ""
        assert home.session.state.since_boot_s == home.session.state.heard_boot_s == home.agent.clock.boot_s
        assert first.subscribed == [home.agent.topics.requests]
        first.tell(Closed(0, "gone"))
        await home.connected(2)
        assert json.loads(home.line.will.payload)["session"] == home.session.state.session == 2
        assert home.line.bodies("/status")[0]["nonce"] == home.session.nonce != birth["nonce"]

    live(tmp_path, story)


@pytest.mark.parametrize(
    ("event", "error", "end"),
    [
        (Refused(0x86, "bad user name or password"), "bad user name or password", "refused"),
        (Refused(0x86, ""), "reason code 0x86", "refused"),
        (Closed(0, "reset"), "closed before CONNACK: reset", "unreachable"),
    ],
)
def test_a_broker_that_lets_nobody_in_says_why(tmp_path: Path, event: Event, error: str, end: str) -> None:
    async def story(home: Home) -> None:
        await home.until(lambda: home.lines)
        home.line.tell(event)
        await home.until(lambda: home.session.state.last_error)
        assert home.session.state.last_error == error
        assert not home.session.state.connected
        assert home.session.faults == {f"operator.session-{end}": 1}
        assert home.session.state.broker == "broker.example:1883"

    live(tmp_path, story)


@pytest.mark.parametrize("event", [Refused(0x9C, "", "other.example:1884"), Closed(0x9C, "", "other.example:1884")])
def test_another_server_that_is_named_before_the_session_is_tried_next(tmp_path: Path, event: Event) -> None:
    async def story(home: Home) -> None:
        await home.until(lambda: home.lines)
        home.line.tell(event)
        await home.connected(2)
        assert (home.line.target.host, home.line.target.port) == ("other.example", 1884)

    live(tmp_path, story)


def test_a_broker_that_says_nothing_is_given_up_after_its_time(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.until(lambda: home.lines)
        home.agent.clock.boot_s += FAST.connack_s
        await home.ticks()
        assert len(home.lines) == 1
        home.agent.clock.boot_s += 1
        await home.until(lambda: home.session.state.last_error)
        assert home.session.state.last_error == "no CONNACK"

    live(tmp_path, story)


@pytest.mark.parametrize(
    ("failure", "error"), [(OSError("no route to host"), "no route to host"), (ValueError(), "ValueError")]
)
def test_a_broker_that_cannot_be_reached_is_told_with_its_reason(
    tmp_path: Path, failure: Exception, error: str
) -> None:
    async def story(home: Home) -> None:
        await home.until(lambda: home.session.state.last_error)
        assert home.session.state.last_error == error
        home.failure = None
        await home.until(lambda: home.line.failure is None)
        await home.connected()
        assert home.session.state.last_error == ""
        assert home.session.state.attempts == 0

    async def begun(home: Home) -> None:
        home.failure = failure
        await story(home)

    live(tmp_path, begun)


def test_the_way_is_proved_by_the_subscription_and_a_report_together(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        birth = home.line.mids("/status")[0]
        home.line.tell(Subscribed(1, (0x80,)))  # refused
        home.line.tell(Published(birth, 0))
        await home.ticks()
        assert not home.session.state.proved
        home.line.tell(Subscribed(1, (1,)))
        await home.until(lambda: home.session.state.proved)
        home.line.tell(Closed(0, "gone"))
        await home.until(lambda: not home.session.state.connected)
        assert home.session.state.proved is False
        await home.connected(2)
        home.line.tell(Published(home.line.mids("/status")[0], 0))
        await home.ticks()
        assert not home.session.state.proved  # the subscription of the session before proves nothing here

    live(tmp_path, story)


def test_what_a_connection_costs_is_charged_once_and_heard_is_what_comes_in(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        began_s = home.agent.clock.boot_s
        home.agent.clock.boot_s += 5
        home.line.used = Cost(received_bytes=1_000, sent_bytes=300)
        await home.ticks()
        assert home.session.state.heard_boot_s == began_s + 5
        home.agent.clock.boot_s += 5
        home.line.used = Cost(received_bytes=1_000, sent_bytes=500)
        await home.ticks()
        assert home.session.state.heard_boot_s == began_s + 5
        assert [event for event in home.told if isinstance(event, Charged)] == [Charged(1_000, 300), Charged(0, 200)]
        home.line.used = Cost(received_bytes=1_100, sent_bytes=600)
        home.line.tell(Closed(0, "gone"))
        await home.connected(2)
        home.line.used = Cost(received_bytes=50, sent_bytes=60)
        await home.ticks()
        charged = [event for event in home.told if isinstance(event, Charged)]
        assert charged[2:] == [Charged(100, 100), Charged(50, 60)]
        assert home.session.state.agent_bytes == 1_000 + 300 + 200 + 200 + 110

    live(tmp_path, story)


@pytest.mark.parametrize("present", [True, False])
def test_a_broker_that_cannot_know_what_is_retained_gets_it_anew(tmp_path: Path, present: bool) -> None:
    """Where it forgot the session, and where it is another one than the last."""

    async def story(home: Home) -> None:
        await home.connected()
        home.line.tell(Closed(0, "gone"))
        await home.until(lambda: len(home.lines) == 2)
        before = home.told.count(RetainedLost())
        home.line.tell(Accepted(session_present=present))
        await home.until(lambda: home.session.state.connected)
        assert home.told.count(RetainedLost()) - before == (0 if present else 1)

    live(tmp_path, story)


def test_a_task_of_the_session_that_fails_cuts_the_connection(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()

        async def broken() -> None:
            raise KeyError("bug")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(home.agent.outbox, "take", broken)
            home.agent.outbox.wake.set()
            await home.until(lambda: home.lines[0].cut)
            await home.until(lambda: home.session.faults["operator.session-lost"] == 1)
        assert home.session.faults["operator.session-bug"] == 1

    live(tmp_path, story)


def test_the_farewell_waits_for_what_is_under_way(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        await reported(home, 1)
        await home.until(lambda: home.line.mids("/e/test"))
        stopping = asyncio.ensure_future(home.session.stop("stopping"))
        await home.until(lambda: len(home.line.bodies("/status")) == 2)
        assert home.line.bodies("/status")[1]["state"] == "stopping"
        for mid in range(1, len(home.line.published) + 1):
            home.line.tell(Published(mid, 0))
        await stopping
        await home.until(lambda: home.agent.outbox.rows == 0)
        await home.until(lambda: home.line.graceful)
        assert home.session.state.last_error == ""

    live(tmp_path, story)


@pytest.mark.parametrize("how", ["closed", "too-slow"])
def test_the_farewell_waits_no_longer_than_it_may(tmp_path: Path, how: str) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        await reported(home, 1)
        await home.until(lambda: home.line.mids("/e/test"))
        home.session._timing = replace(FAST, farewell_s=0.0 if how == "too-slow" else 3_600.0)
        await home.session.stop()
        if how == "closed":
            await home.until(lambda: len(home.line.bodies("/status")) == 2)
            home.line.tell(Closed(0, "gone"))
        assert home.running is not None
        await asyncio.wait_for(home.running, 20)
        assert home.agent.outbox.rows == 1
        assert home.agent.outbox.flying == 0

    live(tmp_path, story)


def test_a_configuration_that_leads_to_no_broker_is_told_with_its_fault(tmp_path: Path) -> None:
    async def begun(home: Home) -> None:
        def damaged() -> Target:
            raise ConfigError("configuration", "operator.ca_file", "no such file")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(home.session, "_target", damaged)
            await home.until(lambda: home.session.state.last_error)
            expected = str(ConfigError("configuration", "operator.ca_file", "no such file"))
            assert home.session.state.last_error == expected
            assert home.lines == []
        await home.connected()

    live(tmp_path, begun)


def test_a_connection_that_is_gone_again_at_once_is_told_and_tried_anew(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.until(lambda: home.lines)

        def gone(topic: str) -> None:
            raise OSError("connection reset")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(home.line, "subscribe", gone)
            home.line.tell(Accepted(session_present=False))
            await home.until(lambda: home.session.state.last_error)
        assert home.session.state.last_error == "connection reset"
        assert home.session.faults == {"operator.session-lost": 1}
        await home.connected(2)

    live(tmp_path, story)


def test_rebirth_and_a_new_nonce_are_published_in_the_session_that_is_there(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.session.renew_nonce()  # there is none yet
        await home.connected()
        nonce = home.session.nonce
        home.session.rebirth()
        assert [(body["state"], body["nonce"]) for body in home.line.bodies("/status")] == [("online", nonce)] * 2
        home.session.renew_nonce()
        assert len(home.session.nonce) == len(nonce) == 16
        assert home.line.bodies("/status")[-1]["nonce"] == home.session.nonce != nonce

    live(tmp_path, story)


def test_where_no_broker_is_configured_there_is_no_session(tmp_path: Path) -> None:
    async def run() -> None:
        with StandIn(tmp_path, config_for("")) as agent:
            home = Home(agent)
            running = asyncio.create_task(agent.session.run())
            await home.turns()
            assert not running.done()
            await agent.session.stop()
            await asyncio.wait_for(running, 10)
            assert home.lines == []

    asyncio.run(run())
