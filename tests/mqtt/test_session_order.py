"""The session on a connection that does what the test says: what is acknowledged when, and how a session ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ModemError, StoreError
from agent.events import Charged, Occurrence, RetainedLost
from agent.keeper import Report
from agent.mqtt.session import MOST_WAITING, Tick
from agent.mqtt.transport import Accepted, Closed, Event, Inbound, Message, Published, Refused, Subscribed, Target
from agent.net.wire_cost import Cost
from tests.commands.standin import FAST, StandIn, config_for

QUOTA_EXCEEDED = 0x97  # MQTT 5, 2.4
Told = Callable[[Any], None]


class Line:
    """agent.mqtt.transport.Connection without a broker: the test says what comes."""

    def __init__(self, target: Target, on_event: Told, *, will: Message) -> None:
        self.target, self.tell, self.will = target, on_event, will
        self.published: list[Message] = []
        self.acknowledged: list[int] = []
        self.subscribed: list[str] = []
        self.cut, self.graceful, self.skipping = False, False, False
        self.used = Cost()
        self.failure: Exception | None = None

    async def open(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def close(self, *, graceful: bool) -> Cost:
        self.graceful = graceful
        return self.used

    def subscribe(self, topic: str) -> None:
        self.subscribed.append(topic)

    def publish(self, message: Message) -> int:
        self.published.append(message)
        return len(self.published)

    def acknowledge(self, mid: int) -> None:
        self.acknowledged.append(mid)

    def cost(self) -> Cost:
        return self.used

    def peer(self) -> tuple[str, int]:
        return "192.0.2.7", 8883

    def peer_certificate(self) -> None:
        """There is no TLS."""

    def drop(self) -> None:
        self.cut = True
        self.tell(Closed(0, "dropped"))

    def mids(self, part: str) -> list[int]:
        """The numbers of what was published on topics with this in them."""
        return [mid for mid, message in enumerate(self.published, 1) if part in message.topic]

    def bodies(self, part: str) -> list[dict[str, Any]]:
        return [json.loads(message.payload) for message in self.published if part in message.topic]


class Home:
    """A device whose connections are Lines."""

    def __init__(self, agent: StandIn) -> None:
        self.agent, self.session = agent, agent.session
        self.lines: list[Line] = []
        self.told: list[Occurrence] = []
        self.failure: Exception | None = None
        self.session._connect = self._connect  # type: ignore[assignment]
        self.session._emit = self.told.append

    def _connect(self, target: Target, on_event: Told, *, will: Message) -> Line:
        self.lines.append(Line(target, on_event, will=will))
        self.lines[-1].failure = self.failure
        return self.lines[-1]

    @property
    def line(self) -> Line:
        return self.lines[-1]

    async def until(self, done: Callable[[], Any]) -> None:
        for _ in range(20_000):
            if done():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it never came to be")

    async def turns(self) -> None:
        """As many as anything takes that waits for nothing."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def connected(self, number: int = 1) -> None:
        await self.until(lambda: len(self.lines) >= number)
        self.line.tell(Accepted(session_present=False))
        await self.until(lambda: self.session.state.connected)

    async def ticks(self) -> None:
        """The session looks after its connection, and has done all that it had to."""
        self.line.tell(Tick())
        await self.until(self.session._events.empty)
        await self.turns()


def live(tmp_path: Path, story: Callable[[Home], Awaitable[None]]) -> None:
    async def run() -> None:
        with StandIn(tmp_path, config_for("mqtt://broker.example:1883")) as agent:
            home = Home(agent)
            await agent.outbox.open()
            running = asyncio.create_task(home.session.run())
            await story(home)
            await home.session.stop()
            home.line.tell(Closed(0, "stopped"))
            await asyncio.wait_for(running, 20)

    asyncio.run(run())


def command(home: Home, mid: int, id: str = "c") -> Inbound:
    body = {"v": 1, "id": id, "type": "throttle.auto", "args": {}}
    return Inbound(home.agent.topics.request("throttle.auto", id), json.dumps(body).encode(), mid, False)


def test_a_command_is_acknowledged_once_it_is_in_the_journal_and_not_before(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        let, run = asyncio.Event(), home.agent.store.run
        asked: list[Any] = []

        async def slow(fn: Callable[[Any], Any]) -> Any:
            asked.append(fn)
            await let.wait()
            return await run(fn)

        home.agent.store.run = slow  # type: ignore[method-assign]
        home.line.tell(command(home, 7))
        await home.until(lambda: asked)
        await home.turns()
        assert home.line.acknowledged == []
        home.agent.store.run = run  # type: ignore[method-assign]
        let.set()
        await home.until(lambda: home.line.acknowledged)
        assert home.line.acknowledged == [7]
        assert await run(lambda db: db.journal.get("c")) is not None
        await home.agent.runner.stop()

    live(tmp_path, story)


def test_a_command_that_the_disk_refuses_is_tried_again_and_stays_with_the_broker_until_then(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        tried: list[list[int]] = []

        async def refused(message: Inbound) -> None:
            tried.append(list(home.line.acknowledged))
            if len(tried) < 3:
                raise StoreError("database or disk is full")

        home.session._deliver = refused
        home.line.tell(command(home, 7))
        await home.until(lambda: home.line.acknowledged)
        assert tried == [[], [], []]
        assert home.session.faults["operator.store"] == 2

    live(tmp_path, story)


@pytest.mark.parametrize(
    ("error", "fault"), [(ModemError("away"), "operator.inbound"), (KeyError("bug"), "operator.inbound-bug")]
)
def test_a_message_that_fails_is_acknowledged_and_ends_no_session(tmp_path: Path, error: Exception, fault: str) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        heard: list[int] = []

        async def fails(message: Inbound) -> None:
            heard.append(message.mid)
            if message.mid == 1:
                raise error

        home.session._deliver = fails
        home.line.tell(command(home, 1))
        home.line.tell(command(home, 2))
        await home.until(lambda: home.line.acknowledged == [1, 2])
        assert heard == [1, 2]
        assert home.session.faults[fault] == 1
        assert not home.line.cut

    live(tmp_path, story)


def test_messages_that_nothing_holds_back_are_bounded_and_commands_are_not(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        let, heard = asyncio.Event(), list[int]()

        async def slow(message: Inbound) -> None:
            heard.append(message.mid)
            await let.wait()

        home.session._deliver = slow
        home.line.tell(command(home, 9))
        await home.until(lambda: heard)
        for _ in range(MOST_WAITING + 3):
            home.line.tell(command(home, 0))
        home.line.tell(command(home, 10))
        await home.until(lambda: home.session.faults["operator.inbound-dropped"] == 3)
        let.set()
        await home.until(lambda: 10 in home.line.acknowledged)
        assert heard == [9, *[0] * MOST_WAITING, 10]

    live(tmp_path, story)


async def reported(home: Home, number: int) -> None:
    await home.agent.outbox.add(Report(home.agent.topics.event("test"), {"number": number}))


def test_a_report_is_kept_until_the_broker_has_it_and_sent_again_in_the_next_session(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        await reported(home, 1)
        await reported(home, 2)
        await home.until(lambda: len(home.line.mids("/e/test")) == 2)
        first = home.line
        first.tell(Published(first.mids("/e/test")[0], 0))
        await home.until(lambda: home.agent.outbox.rows == 1)
        first.tell(Closed(0, "gone"))
        await home.connected(2)
        await home.until(lambda: home.line.mids("/e/test"))
        assert home.line.bodies("/e/test") == first.bodies("/e/test")[1:]
        home.line.tell(Published(home.line.mids("/e/test")[0], 0))
        await home.until(lambda: home.agent.outbox.rows == 0)
        assert home.session.faults["operator.session-lost"] == 1

    live(tmp_path, story)


def test_a_broker_that_takes_no_more_ends_the_session_and_loses_nothing(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        await reported(home, 1)
        await home.until(lambda: home.line.mids("/e/test"))
        home.line.tell(Published(home.line.mids("/e/test")[0], QUOTA_EXCEEDED))
        await home.until(lambda: not home.session.state.connected)
        assert home.session.state.last_error == "PUBACK"
        assert home.agent.outbox.rows == 1

    live(tmp_path, story)


def test_a_broker_that_owes_a_puback_for_too_long_is_left_and_the_next_keep_alive_is_shorter(
    tmp_path: Path,
) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        asked_s = home.line.target.keepalive_s
        home.line.skipping = True
        home.line.used = Cost(received_bytes=100, sent_bytes=0)
        home.agent.clock.boot_s += FAST.puback_s + 1  # a long message comes in before the PUBACK
        await home.ticks()
        home.line.skipping = False
        home.agent.clock.boot_s += FAST.puback_s
        await home.ticks()
        assert home.session.state.connected
        home.agent.clock.boot_s += 1
        await home.until(lambda: not home.session.state.connected)
        assert home.session.state.last_error == "no PUBACK"
        assert home.session.faults["operator.session-silent"] == 1
        await home.connected(2)
        assert home.line.target.keepalive_s == asked_s // 2

    live(tmp_path, story)


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
        await home.until(lambda: not home.session.state.proved)
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

        home.agent.outbox.take = broken  # type: ignore[method-assign,assignment]
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


def test_rebirth_and_a_new_nonce_are_published_in_the_session_that_is_there(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.session.renew_nonce()  # there is none yet
        await home.connected()
        nonce = home.session.nonce
        home.session.rebirth()
        assert [body["nonce"] for body in home.line.bodies("/status")] == [nonce] * 2
        home.session.renew_nonce()
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
