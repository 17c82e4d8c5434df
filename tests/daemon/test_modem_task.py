"""The module's task: what it makes of a module that is busy with what nobody waits for, and who hears of a change."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.config import Config, Device, ModemSettings, Wan
from agent.daemon.app import assemble
from agent.daemon.live_agent import LiveAgent
from agent.daemon.startup import open_line
from agent.daemon.tasks import modem as module_under_test
from agent.daemon.tasks.modem import Watching
from agent.daemon.watchdog import Watchdog
from agent.events import ModemChanged, ModemRead, Occurrence, SessionChanged
from agent.modem import Modem, transport
from agent.mqtt import SessionState
from agent.plan import Moment
from agent.plan.model import Trust
from tests.modem.scripted import OK, ScriptedModem

EVENING = datetime(2026, 11, 29, 18, 26, 59, tzinfo=timezone.utc)


class Clock:
    def now(self) -> Moment:
        return Moment(EVENING, 100.0, "b", Trust.SYNC)

    def offer_network_time(self, network_time: datetime, at_boot_s: float) -> None:
        """The module's word for the time is not what is looked at here."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "SETTLE_S", 0.01)
    monkeypatch.setattr(transport, "PROBE_S", 0.02)
    monkeypatch.setattr(module_under_test, "OCCUPIED_S", 0.01)
    monkeypatch.setattr(module_under_test, "GAP_S", 0.0)


def test_a_module_that_goes_on_searching_stays_ready_and_says_what_it_does(tmp_path: Path) -> None:
    async def whole() -> None:
        script = ScriptedModem()
        states: list[str] = []
        read = asyncio.Event()

        def hear(event: Occurrence) -> None:
            if isinstance(event, ModemChanged):
                states.append(watching.state)
            elif isinstance(event, ModemRead):
                read.set()

        watching = Watching(ModemSettings(port=script.path, poll_s=0.01), cast(Any, Clock()), Counter(), hear)
        watching.module = Modem(ModemSettings(port=script.path), lock_directory=tmp_path)
        task = asyncio.create_task(watching.run())
        try:
            await read.wait()
            script.answers["AT+COPS=?"] = script.answers["AT"] = None
            scan = asyncio.create_task(watching.module.execute("AT+COPS=?", timeout_s=600))
            await script.until("AT+COPS=?")
            scan.cancel()
            script.heard.clear()
            for _ in range(3 * transport.HUNG_AFTER):  # it is asked again and again, in vain
                await script.until("AT")
                script.heard.clear()
            assert (watching.state, watching.reason, states) == ("ready", "", ["ready"])
            assert watching.reading is not None
            agent = SimpleNamespace(watching=watching, clock=Clock(), config=Config())
            assert LiveAgent._modem_reason(cast(LiveAgent, agent)) == "busy: searching networks since 19:26"
            script.answers["AT"] = OK
            read.clear()
            script.send("\r\nOK\r\n")
            await read.wait()
            assert states == ["ready"]
            assert "AT+CFUN?" in script.heard  # it may have been the radio going off
            assert LiveAgent._modem_reason(cast(LiveAgent, agent)) == ""
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            watching.module.close()
            script.unplug()

    asyncio.run(whole())


def test_a_port_that_leaves_the_bus_is_noticed_before_the_next_poll(tmp_path: Path) -> None:
    async def whole() -> None:
        script = ScriptedModem()
        read, changed = asyncio.Event(), asyncio.Event()

        def hear(event: Occurrence) -> None:
            if isinstance(event, ModemRead):
                read.set()
            elif isinstance(event, ModemChanged):
                changed.set()

        watching = Watching(ModemSettings(port=script.path, poll_s=86_400.0), cast(Any, Clock()), Counter(), hear)
        watching.module._dialogue._lock_directory = tmp_path
        task = asyncio.create_task(watching.run())
        try:
            await read.wait()
            changed.clear()
            script.unplug()
            await asyncio.wait_for(changed.wait(), 60)
            assert watching.state == "absent"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            watching.module.close()

    asyncio.run(whole())


def test_a_change_of_the_module_s_state_is_judged_at_once(tmp_path: Path) -> None:
    """And a look that follows every change of the session would be one every five seconds."""

    async def whole() -> None:
        config = Config(
            device=Device(state_dir=str(tmp_path / "state"), run_dir=str(tmp_path / "run")), wan=Wan(("nolink0",))
        )
        line = await open_line(config)
        try:
            daemon = assemble(line, Watchdog())
            looked: list[str] = []
            daemon._recovering.wake.set = lambda: looked.append("now")  # type: ignore[method-assign]
            daemon.dispatch(SessionChanged(SessionState()))
            assert looked == []
            daemon.dispatch(ModemChanged())
            assert looked == ["now"]
        finally:
            line.close()

    asyncio.run(whole())
