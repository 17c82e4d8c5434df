"""The line's task as a whole on a clock moved by hand: when a line is named, when it is mended, what is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from agent.config import Config
from agent.daemon.live_agent import LiveAgent
from agent.daemon.liveness import DEAD_PATIENCE_S
from agent.daemon.tasks import recovery as module_under_test
from agent.daemon.tasks.recovery import DIALLERS_S, LONGEST_STEP_S, LOOK_S, Recovering, Standing
from agent.errors import StoreError
from agent.events import LineJudged, Occurrence, Progressed
from agent.modem.reading import Reading, Registration, Sim
from agent.mqtt import SessionState
from agent.net import probes
from agent.net.facts import Reach, Route, WanLink
from agent.plan import Epoch, Moment, Sample
from agent.plan.model import Trust

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
PROBE_S = 8.0  # bounded_all: twice REACH_S
WELL = Reading(0.0, sim=Sim("READY", "none"), registration=Registration(stat=1), attached=True,
               contexts=({"cid": 1, "address": "10.1.2.3"},))  # fmt: skip
LINK, NO_ADDRESS = WanLink("wwan0", True, True, ("10.1.2.3",)), WanLink("wwan0", True, True)


class Over(Exception):
    """The story has come to its end."""


@dataclass
class World:
    """A device with default settings. `dead`: what the line is at a moment of boot time."""

    dead: Callable[[float], bool] = lambda boot_s: False
    load: tuple[int, int, int] = (400, 500_000, 300)  # packets and bytes received, packets sent, in a look while alive
    dead_load: tuple[int, int, int] = (0, 0, 40)
    connected: Callable[[float], bool] = lambda boot_s: True  # the TCP connection to the broker still stands
    links: Callable[[float], tuple[WanLink, ...]] = lambda boot_s: (LINK,)
    state: Callable[[float], str] = lambda boot_s: "ready"
    occupied: Callable[[float], tuple[str, float] | None] = lambda boot_s: None
    memory: dict[str, str] = field(default_factory=dict)
    settings: ClassVar[Config] = Config()
    boot_s: float = 1_000.0
    events: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    causes: list[tuple[float, str]] = field(default_factory=list)
    online: list[tuple[float, bool]] = field(default_factory=list)
    steps: list[tuple[float, str]] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)

    def now(self) -> Moment:
        return Moment(NOON + timedelta(seconds=self.boot_s), self.boot_s, "b", Trust.SYNC)

    # -- the agent as the task sees it

    def agent(self) -> LiveAgent:
        module = SimpleNamespace(
            context_differs=False, rungs=lambda answers: ("attach", "radio", "module", "usb", "power"), reset=self.reset
        )
        world = self

        class Watching:
            @property
            def state(self) -> str:
                return world.state(world.boot_s)

            reading = WELL

            @property
            def module(self) -> Any:
                module.occupied = world.occupied(world.boot_s)
                return module

        self.sums = (0, 0, 0)
        watching = Watching()
        watching.module  # noqa: B018  `occupied` is set
        self.watching = watching

        class Agent(SimpleNamespace):
            @property
            def session(self) -> SessionState:
                return SessionState(connected=world.connected(world.boot_s), broker="broker:8883")

        return cast(LiveAgent, Agent(
            clock=self, config=self.settings, watching=watching, samples=self.samples,
            accounting=SimpleNamespace(decision=SimpleNamespace(state="normal")), store=self,
            event=lambda name, data: self.events.append((self.boot_s, name, data)),

        ))  # fmt: skip

    async def run(self, fn: Callable[[Any], Any]) -> Any:
        return fn(SimpleNamespace(meta=SimpleNamespace(get=self.memory.get, set=self.memory.__setitem__)))

    async def reset(self, level: str) -> dict[str, Any]:
        self.steps.append((self.boot_s, level))
        return {"level": level, "text": "done"}

    async def samples(self) -> list[Sample]:
        packets, received, sent = self.sums
        return [Sample(Epoch("b", 5, "wwan0"), self.boot_s, received, 0, packets, sent)]

    def probe(self, task: Recovering) -> tuple[tuple[Reach, ...], tuple[Reach, ...]]:
        self.probes.append(self.boot_s)
        dead = self.dead(self.boot_s) or self.links(self.boot_s) != (LINK,)
        self.boot_s += PROBE_S if dead else 0.1
        found = Reach("192.0.2.1", not dead, None if dead else 20.0)
        return (found,), (found, found)

    async def wait(self, at_most_s: float) -> bool:
        """A pause of the task: time goes on, and traffic with it."""
        self.watching.module  # noqa: B018
        dead = self.dead(self.boot_s)  # what came before it died still counts
        more = self.dead_load if dead else self.load
        self.sums = cast("tuple[int, int, int]", tuple(a + b for a, b in zip(self.sums, more, strict=True)))
        self.boot_s += at_most_s
        if self.boot_s > self.until_s:
            raise Over
        return False

    def live(self, until_s: float, monkeypatch: pytest.MonkeyPatch) -> Recovering:
        """Run the task until then."""
        self.until_s = until_s
        monkeypatch.setattr(module_under_test, "LEAST_S", 0.0)
        monkeypatch.setattr(probes, "wan_links", lambda patterns: self.links(self.boot_s))
        monkeypatch.setattr(probes, "default_routes", lambda: (Route("wwan0", ""),))
        monkeypatch.setattr(Recovering, "_probe", lambda task: self.probe(task))

        async def whole() -> Recovering:
            agent = self.agent()

            def hear(event: Occurrence) -> None:
                if isinstance(event, LineJudged):
                    self.causes.append((self.boot_s, event.cause))
                elif event == Progressed("recovery", LOOK_S + LONGEST_STEP_S):
                    self.online.append((self.boot_s, task.online))

            task = Recovering(agent, hear)
            task.wake = cast(Any, self)
            with pytest.raises(Over):
                await task.run()
            return task

        return asyncio.run(whole())

    def troubles(self) -> Iterable[str]:
        return [data["state"] for _, name, data in self.events if name == "trouble"]


@pytest.mark.parametrize("shift_s", range(0, int(LOOK_S), 5))
def test_a_silent_line_is_named_within_three_minutes_and_mended_within_five(
    shift_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker's TCP connection stands all the while."""
    died_s = 4_000.0 + shift_s
    world = World(dead=lambda boot_s: boot_s > died_s)
    world.live(died_s + 600, monkeypatch)
    named_s, cause = world.causes[0]
    assert cause == "operator-outage"
    assert 60 <= named_s - died_s <= 180
    assert world.steps[0][1] == "attach"
    assert world.steps[0][0] - died_s <= 300
    assert all(probed_s > died_s for probed_s in world.probes)
    began_s = json.loads(world.memory[module_under_test.TROUBLE])["boot_s"]
    assert abs(began_s - died_s) <= LOOK_S  # since when it is silent, not since when it has a name
    assert next(at_s for at_s, online in world.online if not online) - died_s <= 180 + LOOK_S  # the household's lamp


def test_a_line_that_comes_up_a_little_later_than_the_agent_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(
        links=lambda boot_s: (NO_ADDRESS if boot_s < 1_050 else LINK,), connected=lambda boot_s: boot_s > 1_055
    )
    world.live(2_000, monkeypatch)
    assert (world.events, world.causes) == ([], [])


def test_a_line_without_an_address_is_named_at_the_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent at all there, so there is no silence to notice."""
    world = World(load=(0, 0, 0), links=lambda boot_s: (LINK if boot_s < 4_000 else NO_ADDRESS,))
    world.live(4_400, monkeypatch)
    assert world.causes[0][1] == "apn"
    assert world.causes[0][0] - 4_000 <= 2 * LOOK_S + PROBE_S
    assert world.steps[0][0] - 4_000 <= 300


def test_a_healthy_day_asks_nothing_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.live(86_400, monkeypatch)
    assert (world.probes, world.steps, world.events, world.causes) == ([], [], [], [])
    assert module_under_test.TROUBLE not in world.memory  # no look writes to the flash


def test_a_broker_that_is_away_is_no_dead_line(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(connected=lambda boot_s: boot_s < 4_000, load=(0, 0, 0))
    world.live(86_400, monkeypatch)
    assert 1 <= len(world.probes) <= 40
    assert (world.steps, world.events, world.causes) == ([], [], [])


def test_a_full_slow_line_that_lets_no_probe_through_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(connected=lambda boot_s: False)
    monkeypatch.setattr(World, "probe", lambda self, task: pytest.fail("bytes come in: nothing is to be asked"))
    world.live(8_000, monkeypatch)
    assert world.causes == []


def test_a_line_that_passes_bytes_is_not_reset_for_a_module_that_answers_no_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(state=lambda boot_s: "hung" if boot_s > 4_000 else "ready")
    task = world.live(6_000, monkeypatch)
    assert task.cause == "modem-hung"
    assert task.online
    assert world.steps == []
    silent = World(state=lambda boot_s: "hung" if boot_s > 4_000 else "ready", dead=lambda boot_s: boot_s > 5_000)
    task = silent.live(6_000, monkeypatch)
    assert not task.online
    assert 5_000 < silent.steps[0][0] <= 5_300


def test_a_scan_that_takes_the_line_away_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def scanning(boot_s: float) -> bool:
        return 4_000 < boot_s <= 4_190

    world = World(
        dead=scanning, occupied=lambda boot_s: ("searching networks", boot_s - 4_000) if scanning(boot_s) else None
    )
    world.live(6_000, monkeypatch)
    assert (world.events, world.steps, world.probes) == ([], [], [])


def test_a_trouble_is_told_once_over_a_restart_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(boot_s: float) -> bool:
        return 4_000 < boot_s < 6_000

    first = World(dead=dead)
    first.live(5_000, monkeypatch)
    second = World(dead=dead, memory=first.memory, boot_s=5_020)
    second.live(7_000, monkeypatch)
    assert [*first.troubles(), *second.troubles()] == ["began", "ended"]
    ended = second.events[-1][2]
    assert ended["cause"] == "operator-outage"
    assert 1_800 <= ended["seconds"] <= 2_100
    assert second.online[0][1] is False  # the lamp does not say ok until the first look after the start
    assert json.loads(second.memory[module_under_test.TROUBLE]) == {}


def test_a_disk_that_refuses_keeps_nobody_from_mending_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(dict[str, str]):
        def __setitem__(self, key: str, value: str) -> None:
            if key == module_under_test.TROUBLE:
                raise StoreError("disk full")
            super().__setitem__(key, value)

    world = World(dead=lambda boot_s: boot_s > 4_000, memory=Full())
    world.live(5_000, monkeypatch)
    assert world.steps
    assert world.troubles() == ["began"]


def test_a_dead_line_is_asked_again_soon_and_never_taken_for_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dead=lambda boot_s: boot_s > 4_000)
    world.live(7_000, monkeypatch)
    assert [cause for _, cause in world.causes] == ["operator-outage"]
    assert not any(online for at_s, online in world.online if at_s > world.causes[0][0])
    pauses = [later - sooner for sooner, later in pairwise(world.probes)]
    assert pauses[0] <= DEAD_PATIENCE_S[0] + LOOK_S + PROBE_S
    assert max(pauses) <= DEAD_PATIENCE_S[1] + LOOK_S + PROBE_S


def test_a_second_trouble_begins_with_the_first_step_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ladder hears of a line that is well, or it would go on where the last trouble ended."""
    world = World(dead=lambda boot_s: 4_000 < boot_s < 6_000 or 40_000 < boot_s < 42_000)
    world.live(50_000, monkeypatch)
    days = [[level for at_s, level in world.steps if (at_s < 20_000) is first] for first in (True, False)]
    assert [levels[:2] for levels in days] == [["attach", "radio"]] * 2
    assert list(world.troubles()) == ["began", "ended"] * 2
    assert json.loads(world.memory[module_under_test.MEMORY])["ladder"]["cause"] == "none"


def test_where_recovery_is_switched_off_the_line_is_judged_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "settings", Config(modem=replace(Config().modem, recovery=False)))
    world = World(dead=lambda boot_s: boot_s > 4_000)
    world.live(5_000, monkeypatch)
    assert (list(world.troubles()), world.steps) == (["began"], [])
    assert world.causes[0][1] == "operator-outage"


def looking(reading: Reading | None, session: SessionState) -> Recovering:
    """The task over one reading of the module."""
    return Recovering(cast(LiveAgent, SimpleNamespace(watching=SimpleNamespace(reading=reading), session=session)))


@pytest.mark.parametrize(
    ("reading", "session", "doubt"),
    [
        (WELL, SessionState(), False),
        (WELL, SessionState(broker="b", connected=True), False),
        (WELL, SessionState(broker="b"), True),
        (None, SessionState(), False),
        (None, SessionState(broker="b"), True),
        (replace(WELL, contexts=({"cid": 1, "address": None},)), SessionState(), True),
        (replace(WELL, contexts=()), SessionState(), False),  # nothing is known of an address
        (replace(WELL, attached=False), SessionState(), True),
        (replace(WELL, attached=None), SessionState(), False),
        (replace(WELL, registration=Registration(stat=2)), SessionState(), True),
        (replace(WELL, registration=Registration()), SessionState(), False),
    ],
)
def test_what_the_module_or_the_broker_says_is_a_reason_to_ask(
    reading: Reading | None, session: SessionState, doubt: bool
) -> None:
    assert looking(reading, session)._contradicted() is doubt


def test_who_dials_is_asked_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = World(), list[float]()

    def diallers() -> list[str]:
        asked.append(world.boot_s)
        return ["pppd"]

    monkeypatch.setattr("agent.doctor.access_point.diallers", diallers)
    task = Recovering(cast(LiveAgent, SimpleNamespace(clock=world)))
    for boot_s in (0.0, DIALLERS_S - 1, DIALLERS_S, 2 * DIALLERS_S - 1):
        world.boot_s = boot_s
        assert asyncio.run(task._dialled())
    assert asked == [0.0, DIALLERS_S]


@pytest.mark.parametrize(
    ("links", "routes", "standing"),
    [
        ((LINK,), (Route("wwan0", ""),), Standing.WHOLE),
        ((LINK,), None, Standing.WHOLE),  # nobody could tell
        ((LINK,), (), Standing.NO_ROUTE),
        ((NO_ADDRESS,), (), Standing.NO_ADDRESS),
        ((NO_ADDRESS, LINK), (Route("wwan0", ""),), Standing.WHOLE),
        ((replace(LINK, up=False),), (Route("wwan0", ""),), Standing.NO_ADDRESS),
        ((), (Route("wwan0", ""),), Standing.WHOLE),
        (None, (Route("wwan0", ""),), Standing.WHOLE),
    ],
)
def test_what_is_set_up_for_the_way_out(links: Any, routes: Any, standing: Standing, monkeypatch: Any) -> None:
    monkeypatch.setattr(probes, "wan_links", lambda patterns: links)
    monkeypatch.setattr(probes, "default_routes", lambda: routes)
    assert Recovering(cast(LiveAgent, SimpleNamespace(config=Config())))._standing() is standing


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("example.org", ("example.org", 443)),
        ("example.org:80", ("example.org", 80)),
        ("XX.example.org:80", ("XX.example.org", 80)),
        ("[2001:db8::1]:8443", ("2001:db8::1", 8443)),
    ],
)
def test_a_host_is_asked_at_its_port(text: str, asked: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[object, ...]] = []
    monkeypatch.setattr(probes, "reach", lambda *words: heard.append(words))
    module_under_test._host(text)()
    assert heard == [asked]


def test_a_probe_asks_every_name_server_for_a_new_name_and_every_host(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def ask(server: str, name: str) -> Reach:
        names.append(name)
        return Reach(server, True, 1.0)

    def all_of(asked: list[Callable[[], Reach]], seconds: float, labels: list[str]) -> tuple[Reach, ...]:
        assert seconds == 2 * probes.REACH_S
        found = tuple(each() for each in asked)
        assert [reach.name for reach in found] == labels
        return found

    config = Config()
    config = replace(
        config, probe=replace(config.probe, name="example.org", name_servers=("192.0.2.53",), hosts=("a",))
    )
    monkeypatch.setattr(probes, "ask_name_server", ask)
    monkeypatch.setattr(probes, "reach", lambda host, port: Reach(host, False, None))
    monkeypatch.setattr(probes, "bounded_all", all_of)
    task = Recovering(cast(LiveAgent, SimpleNamespace(config=config)))
    for _ in range(2):
        servers, hosts = task._probe()
        assert [(reach.name, reach.answered) for reach in servers] == [("192.0.2.53", True)]
        assert [(reach.name, reach.answered) for reach in hosts] == [("a", False)]
    first, second = names
    assert first != second
    assert all(len(name.partition(".")[0]) == 8 and name.endswith(".example.org") for name in names)
