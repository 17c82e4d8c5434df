"""The session on a connection that does what the test says: what is acknowledged when, and sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ModemError, StoreError
from agent.mqtt.session import MOST_WAITING
from agent.mqtt.transport import Closed, Inbound, Published
from agent.net.wire_cost import Cost
from tests.commands.standin import FAST
from tests.mqtt.scripted_connection import Home, command, live, reported

QUOTA_EXCEEDED = 0x97  # MQTT 5, 2.4


def test_a_command_is_acknowledged_once_it_is_in_the_journal_and_not_before(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.connected()
        let, run = asyncio.Event(), home.agent.store.run
        asked: list[Any] = []

        async def slow(fn: Callable[[Any], Any]) -> Any:
            asked.append(fn)
            await let.wait()
            return await run(fn)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(home.agent.store, "run", slow)
            home.line.tell(command(home, 7))
            await home.until(lambda: asked)
            await home.turns()
            assert home.line.acknowledged == []
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
