"""The recovery ladder: from a cause and what was tried to the next step, or to patience. Pure; time is an argument.

Rungs, from the gentlest: attach (detach and attach again), radio (off and on), module (restart by AT), usb (the device
re-authorised), power (cut and given back). Each has a budget a day, a pause behind it that doubles, and is only taken
when the cause has held for a while. Nothing is ever done for missing coverage, a denied SIM, a locked SIM, a stolen
port or a throttled line: a reset mends none of these, and resets for nothing have blocked lines for half an hour
(networks refuse a module that attaches too often).

The history is a small dict, kept by the daemon across reboots. It counts in seconds of agent uptime, so that neither a
wrong wall clock nor a reboot loop can refill a budget.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, TypedDict

from agent.backoff import doubled_s

if TYPE_CHECKING:

    class Stored(TypedDict, total=False):
        """A History between two runs of the agent."""

        uptime_s: float
        cause: str
        since_s: float
        well_since_s: float | None
        steps: list[list[float | str]]


DAY_S = 86_400.0
RUNGS = ("attach", "radio", "module", "usb", "power")
BUDGET = {"attach": 12, "radio": 6, "module": 3, "usb": 3, "power": 2}
PAUSE_S = {"attach": 120.0, "radio": 300.0, "module": 600.0, "usb": 600.0, "power": 1800.0}
HEALTHY_S = 600.0  # this long without a cause ends an incident; a flapping line stays on its rung

# cause: (how long it must have held, the rungs that can mend it)
REMEDIES: dict[str, tuple[float, tuple[str, ...]]] = {
    "modem-hung": (60.0, ("usb", "power")),  # no AT gets through, so nothing that is asked by AT
    "usb-gone": (180.0, ("power",)),  # a restarting module stays away up to two minutes
    "sim-missing": (600.0, ("module",)),  # a contact that failed at power-up; once, then it is a missing card
    "apn": (180.0, ("attach", "radio", "module")),
    # A stale bearer looks the same from here. Such a line has been silent for a minute or more before it has a name.
    "operator-outage": (120.0, ("attach", "radio")),
}
ONCE = frozenset({"sim-missing"})


@dataclass(frozen=True, slots=True)
class Taken:
    """One step that was taken."""

    at_s: float
    rung: str
    cause: str


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered: the present incident and the steps of the last day. `uptime_s` is the agent's whole life."""

    uptime_s: float = 0.0
    cause: str = "none"
    since_s: float = 0.0
    well_since_s: float | None = 0.0
    steps: tuple[Taken, ...] = field(default=())

    def to_dict(self) -> Stored:
        return {
            "uptime_s": round(self.uptime_s),
            "cause": self.cause,
            "since_s": round(self.since_s),
            "well_since_s": None if self.well_since_s is None else round(self.well_since_s),
            "steps": [[round(step.at_s), step.rung, step.cause] for step in self.steps],
        }

    @classmethod
    def from_dict(cls, stored: Stored) -> History:
        """What was stored; anything unreadable is forgotten, the budgets then begin full."""
        try:
            steps = tuple(Taken(float(at), str(rung), str(cause)) for at, rung, cause in stored.get("steps", ()))
            well = stored.get("well_since_s")
            return cls(
                float(stored.get("uptime_s", 0)),
                str(stored.get("cause", "none")),
                float(stored.get("since_s", 0)),
                None if well is None else float(well),
                tuple(step for step in steps if step.rung in RUNGS),
            )
        except (TypeError, ValueError):
            return cls()


@dataclass(frozen=True, slots=True)
class Decision:
    """`rung` None: nothing is done now. `reason` is one line for the log and the technician."""

    cause: str
    rung: str | None
    reason: str


def decide(
    cause: str, history: History, elapsed_s: float, available: tuple[str, ...] = RUNGS
) -> tuple[Decision, History]:
    """One look: `elapsed_s` since the last. `available` leaves out rungs that this device cannot take.

    The history that comes back already holds the step: it is stored before the step is taken, since the step may cost
    the agent its power.
    """
    history = _observe(cause, history, max(0.0, elapsed_s))
    if cause == "none":
        return Decision(cause, None, "the line is well"), history
    if cause not in REMEDIES:
        return Decision(cause, None, f"{cause}: no reset mends this"), history
    hold_s, rungs = REMEDIES[cause]
    now, held = history.uptime_s, history.uptime_s - history.since_s
    if held < hold_s:
        return Decision(cause, None, f"{cause} for {held:.0f} s, waits for {hold_s:.0f} s"), history
    rung, why = _next(cause, rungs, history, available)
    if rung is None:
        return Decision(cause, None, why), history
    steps = (*history.steps, Taken(now, rung, cause))
    return Decision(cause, rung, f"{cause} for {held:.0f} s: {why}"), replace(history, steps=steps)


def _observe(cause: str, history: History, elapsed_s: float) -> History:
    """Time goes on; an incident begins, changes its name, or ends after HEALTHY_S."""
    now = history.uptime_s + elapsed_s
    steps = tuple(step for step in history.steps if now - step.at_s < DAY_S)
    history = replace(history, uptime_s=now, steps=steps)
    if cause == "none":
        well = now if history.well_since_s is None else history.well_since_s
        ended = now - well >= HEALTHY_S
        return replace(history, well_since_s=well, cause="none" if ended else history.cause)
    if cause != history.cause:
        return replace(history, cause=cause, since_s=now, well_since_s=None)
    if history.well_since_s is not None:  # well for a moment, then the same again: the incident goes on
        return replace(history, well_since_s=None)
    return history


def _next(cause: str, rungs: tuple[str, ...], history: History, available: tuple[str, ...]) -> tuple[str | None, str]:
    """The lowest rung of this incident that was not tried yet, has budget and whose predecessor has had its time."""
    now = history.uptime_s
    last = max(history.steps, key=lambda step: step.at_s, default=None)
    if last is not None:
        same = sum(1 for step in history.steps if step.rung == last.rung)
        pause_s = doubled_s(PAUSE_S[last.rung], inf, same - 1)
        if now - last.at_s < pause_s:
            return None, f"{cause}: {last.rung} was done {now - last.at_s:.0f} s ago, waits for {pause_s:.0f} s"
    tried = [step.rung for step in history.steps if step.cause == cause and step.at_s >= history.since_s]
    if cause in ONCE and any(step.cause == cause for step in history.steps):
        return None, f"{cause}: was tried once today, a person must look"
    usable = [rung for rung in rungs if rung in available]
    fresh = [rung for rung in usable if rung not in tried]
    for rung in fresh or usable[-1:]:  # all tried: the highest again, by its own pause and budget
        left = BUDGET[rung] - sum(1 for step in history.steps if step.rung == rung)
        if left > 0:
            return rung, f"step {rung}, {left - 1} left today"
    return None, f"{cause}: every step that could help is used up for today"
