"""The ladder's task in the daemon: what it did stands in the store before it is done, and holds after a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.config import Config
from agent.daemon.live_agent import LiveAgent
from agent.daemon.tasks.recovery import LOOK_S, MEMORY, Recovering
from agent.doctor.access_point import Dialler
from agent.mqtt import SessionState
from agent.plan import Moment
from agent.plan.model import Trust
from agent.store import Database

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


class Kept:
    """A store on its database, without the thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, fn: Callable[[Database], Any]) -> Any:
        with Database.open(self._path) as database, database.transaction():
            return fn(database)

    def memory(self) -> dict[str, Any]:
        with Database.open(self._path) as database:
            found: dict[str, Any] = json.loads(database.meta.get(MEMORY) or "{}")
            return found


class Module:
    """A module that nothing but its USB port can reach."""

    is_open = False
    occupied = None
    context_differs = False

    def __init__(self, store: Kept) -> None:
        self.store, self.steps_on_disk = store, list[int]()

    def rungs(self, *, answers: bool) -> tuple[str, ...]:
        return ("usb",)

    async def reset(self, level: str) -> dict[str, Any]:
        self.steps_on_disk.append(len(self.store.memory()["ladder"]["steps"]))
        return {"level": level, "text": "done"}


class Clock:
    """A look each time it is read."""

    def __init__(self, boot_s: float) -> None:
        self.boot_s = boot_s

    def now(self) -> Any:
        self.boot_s += LOOK_S
        return Moment(NOON, self.boot_s, "b", Trust.SYNC)


async def nothing() -> tuple[()]:
    """No WAN link."""
    return ()


def live(store: Kept, looks: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Module, list[dict[str, Any]], Recovering]:
    """A daemon with a module that hangs, for so many looks since its boot."""
    monkeypatch.setattr("agent.daemon.tasks.recovery.LOOK_S", 0.0)
    monkeypatch.setattr("agent.daemon.tasks.recovery.probes.wan_links", lambda patterns: ())
    module, events = Module(store), list[dict[str, Any]]()
    agent = SimpleNamespace(
        store=store,
        clock=Clock(0.0),
        config=Config(),
        watching=SimpleNamespace(module=module, state="hung", reading=None),
        accounting=SimpleNamespace(decision=SimpleNamespace(state="normal")),
        event=lambda name, data: events.append(data) if name in ("modem-reset", "modem-context") else None,
        samples=nothing,
        session=SessionState(),
    )
    recovering = Recovering(cast(LiveAgent, agent))

    async def main() -> None:
        task = asyncio.create_task(recovering.run())
        while agent.clock.boot_s < looks * LOOK_S:  # noqa: ASYNC110  # each look advances it
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    return module, events, recovering


def test_a_step_stands_in_the_store_before_it_is_taken_and_is_not_repeated_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Kept(tmp_path / "agent.db")
    module, events, recovering = live(store, 8, monkeypatch)
    assert module.steps_on_disk == [1]
    assert [(event["level"], event["cause"]) for event in events] == [("usb", "modem-hung")]
    assert recovering.cause == "modem-hung"
    module, events, _ = live(store, 8, monkeypatch)  # the device was rebooted
    assert (module.steps_on_disk, events) == ([], [])
    for _ in range(20):  # and again and again: a reboot loop refills no budget
        live(store, 40, monkeypatch)
    assert len(store.memory()["ladder"]["steps"]) <= 3


def test_a_damaged_memory_is_forgotten_and_the_ladder_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Kept(tmp_path / "agent.db")
    asyncio.run(store.run(lambda database: database.meta.set(MEMORY, "{nonsense")))
    module, _, _ = live(store, 8, monkeypatch)
    assert module.steps_on_disk == [1]


class Attached(Module):
    """A module that answers and has another APN than the configured one; each attach gives it the right one."""

    context_differs = True

    def rungs(self, *, answers: bool) -> tuple[str, ...]:
        return ()

    async def reset(self, level: str) -> dict[str, Any]:
        self.context_differs = False
        return await super().reset(level)


def contexts(store: Kept, monkeypatch: pytest.MonkeyPatch, *diallers: Dialler) -> list[dict[str, Any]]:
    """The events of a module with another APN, where these dial."""
    monkeypatch.setattr("agent.daemon.tasks.recovery.access_point.diallers", lambda: diallers)
    monkeypatch.setattr("tests.daemon.test_recovery.Module", Attached)
    _, events, _ = live(store, 12, monkeypatch)
    return events


def test_the_configured_apn_is_set_where_nobody_else_dials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Kept(tmp_path / "agent.db")
    assert contexts(store, monkeypatch) == [{"apn": ""}]
    assert len(store.memory()["contexts"]) == 1


def test_where_somebody_else_dials_the_module_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Kept(tmp_path / "agent.db")
    assert contexts(store, monkeypatch, Dialler("NetworkManager", "mobile", "internet")) == []
    assert "contexts" not in store.memory()
