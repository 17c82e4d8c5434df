"""Plays a scenario in simulated time and keeps its timeline. A day takes about a second."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from agent.errors import AgentError
from agent.modem.cause import cause_of, evidence_of
from simulator.errors import SimulatorError
from simulator.modem import SimModem
from simulator.modem import state as settings
from simulator.ports.actions import parse_time, perform, status
from simulator.scenarios.household import Household, plan_of
from simulator.scenarios.model import Scenario, Step
from simulator.scenarios.observer import Observer
from simulator.scenarios.rehearsal import COMPARISON

_TRY_AGAIN_S = 5.0  # how often an expectation that may still come true is looked at


@dataclass(frozen=True)
class Line:
    """One line of a timeline."""

    at_s: float
    kind: str  # do, expect, modem, note
    text: str
    ok: bool | None = None  # of an expectation


@dataclass
class Run:
    """What became of a scenario."""

    scenario: Scenario
    lines: list[Line] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(line.ok is not False for line in self.lines)

    @property
    def failures(self) -> list[Line]:
        return [line for line in self.lines if line.ok is False]


class Player:
    """One scenario while it is played; `tell` sees each line as it comes."""

    def __init__(self, scenario: Scenario, tell: Callable[[Line], None], seed: int | None = None) -> None:
        self.scenario, self.tell = scenario, tell
        self.run = Run(scenario)
        chosen = scenario.seed if seed is None else seed
        self.modem = SimModem(scenario.profile, seed=chosen, wall=scenario.start, settings=scenario.settings)
        self.observer = Observer(self.modem)
        device_clock = scenario.device_clock or scenario.start
        self.household = Household(self.modem, plan_of(scenario.plan), device_clock, scenario.metered)
        self.modem.watchers.append(lambda text: self._line("modem", text))
        self._next_poll_s = self._next_sample_s = 0.0
        self._urcs_from = 0

    def play(self) -> Run:
        for step in self.scenario.steps:
            self._go_to(step.at_s)
            if step.note:
                self._line("note", step.note)
            self._urcs_from = len(self.observer.urcs) if step.do else self._urcs_from
            for action in step.do:
                self._do(action)
            if step.expect:
                self._expect(step)
        return self.run

    # -- time ------------------------------------------------------------------------------------------------------

    def _go_to(self, at_s: float) -> None:
        """Let time pass up to `at_s`, with the agent's polls and samples at their times."""
        while True:
            due = min(at_s, self._next_poll_s, self._next_sample_s)
            self.modem.advance(max(due, self.modem.now))
            if self.modem.now >= self._next_sample_s:
                self.household.pass_time()
                self._next_sample_s = self.modem.now + self.scenario.sample_s
            if self.modem.now >= self._next_poll_s:
                self._poll()
            if due >= at_s:
                return

    def _poll(self) -> None:
        self.observer.listen()
        self.observer.poll()
        self.household.learn_time(self.observer.reading)
        self._next_poll_s = self.modem.now + self.scenario.poll_s

    # -- steps -----------------------------------------------------------------------------------------------------

    def _do(self, action: tuple[str, ...]) -> None:
        name, *args = action
        self._line("do", " ".join(action))
        try:
            if name == "traffic":
                self.household.pass_time()
                self.household.down_bps = float(args[0]) * 1e6
                self.household.up_bps = float(args[1]) * 1e6 if len(args) > 1 else 0.0
            elif name == "device-clock":
                self.household.set_device_clock(parse_time(args[0]))
            elif name == "updates":
                self.household.pass_time()
                self.household.updates.offer(args[0], float(args[1]))
            elif name == "top-up":
                self.household.top_up(float(args[0]))
            else:
                perform(self.modem, name, args)
        except (SimulatorError, AgentError, ValueError) as error:
            self._line("do", f"{' '.join(action)}: {error}", ok=False)

    def _expect(self, step: Step) -> None:
        began_s = self.modem.now
        deadline = max(step.at_s, began_s) + step.within_s
        while True:
            self.household.pass_time()
            self._poll()
            wrong = self._wrong(step.expect)
            if not wrong or self.modem.now >= deadline:
                break
            self._go_to(min(deadline, self.modem.now + _TRY_AGAIN_S))
        took = f" after {self.modem.now - began_s:.0f} s" if step.within_s and not wrong else ""
        self._line("expect", f"{_words(step.expect)}{took}" if not wrong else "; ".join(wrong), ok=not wrong)

    def _wrong(self, expect: dict[str, Any]) -> list[str]:
        problems = []
        for name, wanted in expect.items():
            found = self._found(name, wanted)
            if not holds(found, wanted):
                problems.append(f"{name} is {found!r}, expected {wanted!r} (line {self._line_number(expect)})")
        return problems

    def _line_number(self, expect: dict[str, Any]) -> int:
        return next((step.line for step in self.scenario.steps if step.expect is expect), 0)

    def _found(self, name: str, wanted: Any) -> Any:
        source, _, path = name.partition(".")
        reading = self.observer.reading
        if source == "reading":
            return _dig(reading.to_dict() if reading else {}, path)
        if source == "answers":
            return reading is not None
        if source == "plan":
            return self.household.facts().get(path)
        if source == "cause":
            return self._cause()
        if source == "urc":
            return "\n".join(self.observer.urcs[self._urcs_from :])
        if source == "says":
            response = self.observer.ask(path)
            return None if response is None else "\n".join(response.lines)
        known = status(self.modem)
        return known[path] if path in known else settings.read(self.modem.state, path)

    def _cause(self) -> str:
        """What the agent's own reasoning makes of the module and of a line probed as far as one can see it here."""
        gone = self.modem.state.power.state == "gone"
        state = "absent" if gone else "ready" if self.observer.reading is not None else "hung"
        through, slow = self.modem.data_flows, self.household.choked
        return cause_of(
            evidence_of(
                state,
                self.observer.reading,
                gateway=through,
                name_server=through and not slow,
                hosts=(through and not slow,) * 2,
                throttled=slow,
                address=any(context.address for context in self.modem.state.contexts),
            )
        )

    def _line(self, kind: str, text: str, ok: bool | None = None) -> None:
        line = Line(self.modem.now, kind, text, ok)
        self.run.lines.append(line)
        self.tell(line)


def _dig(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, (list, tuple)) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def holds(found: Any, wanted: Any) -> bool:
    """Equal, or in a list, or as `>= 40`, `< -110`, `~ pattern` say."""
    if isinstance(wanted, list):
        return any(holds(found, each) for each in wanted)
    match = COMPARISON.fullmatch(wanted) if isinstance(wanted, str) else None
    if match is None:
        return bool(found == wanted)
    sign, value = match.groups()
    if sign == "~":
        return found is not None and re.search(value, str(found)) is not None
    if not isinstance(found, (int, float)) or isinstance(found, bool):
        return False
    limit = float(value)
    return {">=": found >= limit, "<=": found <= limit, ">": found > limit, "<": found < limit}[sign]


def _words(expect: dict[str, Any]) -> str:
    return ", ".join(f"{name} {wanted}" for name, wanted in expect.items())


def local_time(scenario: Scenario, at_s: float) -> datetime:
    """What a clock on the household's wall shows."""
    return (scenario.start.astimezone(timezone.utc) + timedelta(seconds=at_s)).astimezone(ZoneInfo("Europe/Brussels"))


def play(scenario: Scenario, tell: Callable[[Line], None] = lambda line: None, *, seed: int | None = None) -> Run:
    """Play a scenario to its end, whatever fails on the way."""
    return Player(scenario, tell, seed).play()
