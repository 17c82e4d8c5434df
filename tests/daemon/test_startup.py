"""The line as it is opened: shaped by what the ledger holds before anything else of the agent exists."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent import config as configuration
from agent.clock import Clock
from agent.daemon.startup import DATABASE, open_line
from agent.events import Events, Occurrence
from agent.plan import Ledger, decide, period_at
from agent.store import Database
from agent.traffic import Link, LinkEvent
from tests.daemon.running import Running
from tests.netns import Wire, needs_namespaces, wire

LINK = Link(7, "wan0", "veth", up=True, header_bytes=14, mtu=1500)


@pytest.fixture
def cable() -> Iterator[Wire]:
    needs_namespaces()
    with wire("wan0", "isp0") as joined:
        yield joined


def opened(device: Running) -> tuple[str, str, bool]:
    """Open the line and leave it: the shaper's state, the kernel's qdisc, whether a damaged store was found."""

    async def once() -> tuple[str, str, bool]:
        line = await open_line(configuration.load(device.file))
        try:
            qdiscs = device.namespace.run("tc", "qdisc", "show", "dev", "wan0")
            return line.shaping.state.state, qdiscs, line.store.set_aside is not None
        finally:
            line.close()

    with device.namespace.entered():
        return asyncio.run(once())


@pytest.mark.root
@pytest.mark.parametrize(("used_bytes", "state"), [(41_000_000_000, "enforced"), (39_000_000_000, "off")])
def test_it_opens_as_the_ledger_says(cable: Wire, tmp_path: Path, used_bytes: int, state: str) -> None:
    device = Running(cable.near, tmp_path)
    device.seed(used_bytes)
    found, qdiscs, damaged = opened(device)
    assert (found, damaged) == (state, False)
    assert ("1fa0:" in qdiscs) == (state == "enforced")


@pytest.mark.root
def test_a_month_that_ended_without_power_is_not_shaped_for_an_instant(cable: Wire, tmp_path: Path) -> None:
    device = Running(cable.near, tmp_path, '[clock]\nsource = "system"\n')
    config = configuration.load(device.file)
    now = Clock(config.clock, floor=None).now()
    last_month = replace(now, wall=period_at(now.wall, 1, "UTC").start - timedelta(days=2))
    with Database.open(tmp_path / "state" / DATABASE) as database, database.transaction():
        ledger = replace(Ledger.new(config.plan, last_month), fresh=False, received_bytes=41_000_000_000)
        database.keep(ledger)
    assert decide(ledger, config.plan, last_month).slow
    found, qdiscs, _ = opened(device)
    assert found == "off"
    assert "1fa0:" not in qdiscs


@pytest.mark.root
def test_a_damaged_ledger_shapes_nobody(cable: Wire, tmp_path: Path) -> None:
    device = Running(cable.near, tmp_path)
    device.seed(41_000_000_000)
    for copy in (tmp_path / "state").glob(f"{DATABASE}.good*"):
        copy.unlink()
    database = tmp_path / "state" / DATABASE
    database.write_bytes(b"\xff" * database.stat().st_size)
    found, qdiscs, damaged = opened(device)
    assert (found, damaged) == ("off", True)
    assert "1fa0:" not in qdiscs


def test_what_the_kernel_tells_before_anybody_listens_is_told_then_and_in_order() -> None:
    events, heard = Events(), list[Occurrence]()
    told = [LinkEvent(kind, LINK, None) for kind in ("new", "changed", "deleted")]
    for event in told[:2]:
        events.emit(event)
    events.dispatch_to(heard.append)
    events.emit(told[2])
    assert heard == told
