"""What the ladder's task makes of module and plan, and what it says of a step and of a trouble's beginning."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import cast

import pytest

from agent.daemon.live_agent import LiveAgent
from agent.daemon.liveness import Liveness, Verdict
from agent.daemon.tasks.recovery import TROUBLE, Found, Recovering, Standing
from agent.events import Occurrence, PinRefused
from agent.modem import Evidence
from agent.mqtt import SessionState
from agent.net.facts import Reach
from tests.daemon.test_silence import LINK, NO_ADDRESS, WELL, World


def evidence(monkeypatch: pytest.MonkeyPatch, *, plan: str, module: str, found: Found) -> Evidence:
    async def looked(task: Recovering, liveness: Liveness) -> None:
        task._found = found

    monkeypatch.setattr(Recovering, "_look", looked)
    agent = SimpleNamespace(
        watching=SimpleNamespace(state=module, reading=WELL),
        accounting=SimpleNamespace(decision=SimpleNamespace(state=plan)),
    )
    return asyncio.run(Recovering(cast(LiveAgent, agent))._evidence(Liveness(0.0)))


@pytest.mark.parametrize("module", ["ready", "hung"])
@pytest.mark.parametrize(
    ("plan", "throttled"), [("throttled", True), ("forced", True), ("normal", False), ("lifted", False)]
)
def test_a_line_that_the_plan_slows_is_known_to_be_slow(
    monkeypatch: pytest.MonkeyPatch, plan: str, throttled: bool, module: str
) -> None:
    seen = evidence(monkeypatch, plan=plan, module=module, found=Found())
    assert seen.throttled is throttled
    assert (seen.sim_lock, seen.answers) == (("none", True) if module == "ready" else (None, False))


@pytest.mark.parametrize(("address", "seen"), [(None, True), (False, False)])
def test_a_link_without_an_address_outweighs_what_the_module_says(
    monkeypatch: pytest.MonkeyPatch, address: bool | None, seen: bool
) -> None:
    found = Found(hosts=(False, True), name_server=False, address=address)
    given = evidence(monkeypatch, plan="normal", module="ready", found=found)
    assert (given.hosts, given.name_server, given.address) == ((False, True), False, seen)


def test_a_step_is_told_with_its_cause_and_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dead=lambda boot_s: boot_s > 4_000)
    world.live(5_000, monkeypatch)
    told = [data for _, name, data in world.events if name == "modem-reset"]
    assert (told[0]["level"], told[0]["cause"]) == ("attach", "operator-outage")
    assert told[0]["reason"].startswith("operator-outage for ")


def test_a_trouble_without_a_silence_before_it_began_when_it_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(load=(0, 0, 0), links=lambda boot_s: (LINK if boot_s < 4_000 else NO_ADDRESS,))
    world.live(4_400, monkeypatch)
    assert json.loads(world.memory[TROUBLE])["boot_s"] == world.causes[0][0]


class Full(World):
    """A line so full that no probe is answered in time, while bytes come in."""

    def probe(self, task: Recovering) -> tuple[tuple[Reach, ...], tuple[Reach, ...]]:
        self.probes.append(self.boot_s)
        packets, received, sent = self.sums
        self.sums = packets + 400, received + 500_000, sent + 300
        unanswered = Reach("192.0.2.1", False, None)
        return (unanswered,), (unanswered, unanswered)


def test_bytes_that_come_in_while_it_is_asked_show_that_a_line_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Full(load=(0, 0, 0), connected=lambda boot_s: boot_s < 4_000)
    task = world.live(8_000, monkeypatch)
    assert world.probes
    assert (world.causes, world.steps) == ([], [])
    assert task.online
    assert task._passing  # so that nothing of it is reset, whatever the module says


SILENT = Reach("192.0.2.1", False, None)
HEARD = Reach("192.0.2.2", True, 20.0)


@pytest.mark.parametrize(
    ("servers", "hosts", "found"),
    [
        ((), (SILENT,), Found(hosts=(False,), name_server=None)),
        ((SILENT,), (SILENT,), Found(hosts=(False,), name_server=False)),
        ((SILENT, HEARD), (HEARD, SILENT), Found(hosts=(True, False), name_server=True)),
    ],
)
def test_what_a_probe_found(
    servers: tuple[Reach, ...], hosts: tuple[Reach, ...], found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name server to ask is not a name server that is silent."""
    heard: list[float | None] = []

    def look(liveness: Liveness, now_s: float, samples: object, *, heard_s: float | None, **more: object) -> Verdict:
        heard.append(heard_s)
        return Verdict.PROBE

    world = World()
    world.sums = (0, 0, 0)
    monkeypatch.setattr(Liveness, "look", look)
    monkeypatch.setattr(Recovering, "_standing", lambda task: Standing.WHOLE)
    monkeypatch.setattr(Recovering, "_probe", lambda task: (servers, hosts))
    agent = SimpleNamespace(
        clock=world, samples=world.samples, session=SessionState(heard_boot_s=990.0),
        watching=SimpleNamespace(state="ready", reading=WELL),
    )  # fmt: skip
    task = Recovering(cast(LiveAgent, agent))
    asyncio.run(task._look(Liveness(world.boot_s)))
    assert task._found == found
    assert set(heard) == {990.0}  # what the broker said last shows a line that lives


def test_why_a_pin_is_not_tried_is_said_once() -> None:
    said: list[Occurrence] = []
    task = Recovering(cast(LiveAgent, SimpleNamespace()), said.append)
    for refusal in ("", "1 attempt left", "1 attempt left", "", ""):
        task._note_pin(refusal)
    assert said == [PinRefused("1 attempt left"), PinRefused("")]


@pytest.mark.parametrize(("text", "remembered"), [(None, {}), ("[1]", {}), ("null", {}), ('{"a": 1}', {"a": 1})])
def test_a_memory_that_is_no_table_is_none(text: str | None, remembered: dict[str, int]) -> None:
    world = World(memory={} if text is None else {TROUBLE: text})
    task = Recovering(cast(LiveAgent, SimpleNamespace(store=world)))
    assert asyncio.run(task._load(TROUBLE)) == remembered
