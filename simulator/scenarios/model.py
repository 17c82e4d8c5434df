"""Reads a scenario file; a mistake in it is told with file, line and what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from simulator.errors import DataError, SimulatorError, UnknownName
from simulator.modem import profile as profiles
from simulator.modem import state as settings
from simulator.scenarios.rehearsal import action_problem, expectation_problem
from simulator.toml_lines import line_of, tomllib

DATA = Path(__file__).parent / "data"
KEYS = (
    *("name", "about", "profile", "seed", "start", "device_clock", "poll_s", "sample_s"),
    *("metered", "settings", "plan", "step"),
)
METERED = ("auto", "off")
STEP_KEYS = ("at", "do", "expect", "within_s", "note")
_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


@dataclass(frozen=True)
class Step:
    """What is done at a time, and what must be true then, or come true within some seconds."""

    at_s: float
    do: tuple[tuple[str, ...], ...] = ()
    expect: dict[str, Any] = field(default_factory=dict)
    within_s: float = 0.0
    note: str = ""
    line: int = 0


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    steps: tuple[Step, ...]
    profile: str = "quectel-ec25"
    seed: int = 1
    start: datetime = datetime(2026, 11, 2, 7, 0, tzinfo=timezone.utc)
    device_clock: datetime | None = None  # what the device's clock says at the start; None: the right time
    poll_s: float = 60.0
    sample_s: float = 30.0
    metered: str = "auto"  # `household.metered` of the configuration
    settings: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    file: str = ""


def names() -> list[str]:
    return sorted(path.stem for path in DATA.glob("*.toml"))


def load(name: str) -> Scenario:
    """A shipped scenario by name, or a file by its path."""
    path = Path(name) if name.endswith(".toml") else DATA / f"{name}.toml"
    if not path.exists():
        raise UnknownName("scenario", name, names())
    try:
        text = path.read_text("utf-8")
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        raise DataError(str(path), int(place[1]) if place else None, f"not TOML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(str(path), None, f"cannot be read: {error}") from error
    return _Reader(path, text, table).scenario()


class _Reader:
    def __init__(self, path: Path, text: str, table: dict[str, Any]) -> None:
        self.path, self.text, self.table = path, text, table

    def wrong(self, problem: str, table: str = "", index: int = 0, key: str = "") -> DataError:
        return DataError(str(self.path), line_of(self.text, table, index, key), problem)

    def scenario(self) -> Scenario:
        for key in self.table:
            if key not in KEYS:
                raise self.wrong(f"unknown key {key!r}; known: {', '.join(KEYS)}", key=key)
        if not self.table.get("step"):
            raise DataError(str(self.path), 1, "a scenario needs at least one [[step]]")
        profile = self.table.get("profile", "quectel-ec25")
        try:
            profiles.load(profile)
        except SimulatorError as error:
            raise self.wrong(str(error), key="profile") from error
        self._settings()
        return Scenario(
            name=self.table.get("name", self.path.stem),
            about=self.table.get("about", ""),
            steps=self._steps(),
            profile=profile,
            seed=self._number("seed", 1, whole=True),
            start=self._time("start", Scenario.start) or Scenario.start,
            device_clock=self._time("device_clock", None),
            poll_s=self._number("poll_s", 60.0),
            sample_s=self._number("sample_s", 30.0),
            metered=self._metered(),
            settings=self.table.get("settings", {}),
            plan=self.table.get("plan", {}),
            file=str(self.path),
        )

    def _settings(self) -> None:
        for name, value in self.table.get("settings", {}).items():
            try:
                settings.assign(settings.State(), name, value)
            except SimulatorError as error:
                raise self.wrong(str(error), "settings", key=name) from error

    def _metered(self) -> str:
        value = self.table.get("metered", "auto")
        if value not in METERED:
            raise self.wrong(f"metered must be {' or '.join(METERED)}, not {value!r}", key="metered")
        return str(value)

    def _number(self, key: str, default: float, *, whole: bool = False) -> Any:
        value = self.table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value < 0:
            raise self.wrong(f"{key} must be a number, not {value!r}", key=key)
        return value

    def _time(self, key: str, default: datetime | None) -> datetime | None:
        value = self.table.get(key)
        if value is None:
            return default
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        raise self.wrong(f"{key} must be a date and time such as 2026-10-31T23:30:00+01:00", key=key)

    def _steps(self) -> tuple[Step, ...]:
        steps: list[Step] = []
        for index, row in enumerate(self.table["step"]):
            step = self._step(index, row, steps[-1].at_s if steps else 0.0)
            if steps and step.at_s < steps[-1].at_s:
                raise self.wrong(f"at = {row['at']!r} lies before the step above it", "step", index, "at")
            steps.append(step)
        return tuple(steps)

    def _step(self, index: int, row: dict[str, Any], before_s: float) -> Step:
        for key in row:
            if key not in STEP_KEYS:
                raise self.wrong(f"unknown key {key!r}; known: {', '.join(STEP_KEYS)}", "step", index, key)
        try:
            at_s = span_s(row.get("at", ""), before_s)
        except ValueError as error:
            raise self.wrong(str(error), "step", index, "at") from error
        do = row.get("do", ())
        actions = tuple(tuple(words(text)) for text in ([do] if isinstance(do, str) else do))
        profile = self.table.get("profile", "quectel-ec25")
        for action in actions:
            if problem := action_problem(profile, action):
                raise self.wrong(f"do: {problem}", "step", index, "do")
        expect = row.get("expect", {})
        for name, wanted in expect.items():
            if problem := expectation_problem(profile, name, wanted):
                raise self.wrong(f"expect: {problem}", "step", index, "expect")
        line = line_of(self.text, "step", index, "") or 0
        return Step(at_s, actions, expect, float(row.get("within_s", 0)), row.get("note", ""), line)


def words(text: str) -> list[str]:
    """Words as in a shell, without its variables and escapes."""
    return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', text)]


def span_s(text: object, before_s: float) -> float:
    """`1d2h30m10s` from the start, or `+10m` after the step above."""
    relative = isinstance(text, str) and text.startswith("+")
    match = _SPAN.fullmatch(text.lstrip("+")) if isinstance(text, str) and text.lstrip("+") else None
    if match is None:
        raise ValueError(f"at must be a time such as 2h30m or +45s, not {text!r}")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    return span + (before_s if relative else 0.0)
