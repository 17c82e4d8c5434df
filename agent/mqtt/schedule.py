"""When a measurement is due: on the beat, and sooner when something changed that matters. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.mqtt.reports import State, Traffic

FULL_S = 21_600.0  # m/state at least so often, however quiet the radio is
RSRP_STEP_DB = 6  # a change of signal that support would want to see


class Rhythm:
    """Remembers what was reported last and when, in seconds of boot time."""

    def __init__(self) -> None:
        self._traffic_s: float | None = None
        self._state_s: float | None = None
        self._plan: tuple[object, ...] = ()
        self._seen: State | None = None

    def again(self) -> None:
        """Everything is due: a rebirth."""
        self._traffic_s = self._state_s = None

    def due_s(self, beat_s: float) -> float:
        """When the next measurement is due if nothing happens, in boot time."""
        if self._traffic_s is None or self._state_s is None:
            return 0.0
        return min(self._traffic_s + beat_s, self._state_s + FULL_S)

    def traffic_due(self, body: Traffic, now_s: float, beat_s: float) -> bool:
        plan = (body["plan"]["State"], body["plan"]["PeriodStart"], body["plan"]["ShapingRate"])
        due = self._traffic_s is None or now_s - self._traffic_s >= beat_s or plan != self._plan
        if due:
            self._traffic_s, self._plan = now_s, plan
        return due

    def state_due(self, body: State, now_s: float, beat_s: float) -> bool:
        """A full beat lies between two states, but for a modem, a link or a shaper that came or went."""
        seen, since_s = self._seen, self._state_s
        if since_s is None or seen is None or now_s - since_s >= FULL_S or _urgent(body) != _urgent(seen):
            due = True
        else:
            due = now_s - since_s >= beat_s and _differs(body, seen)
        if due:
            self._state_s, self._seen = now_s, body
        return due


def _urgent(body: State) -> tuple[object, ...]:
    return (body["cell"]["Status"], body["modem"], body["shaper"]["state"])


def _differs(body: State, seen: State) -> bool:
    cell, before = body["cell"], seen["cell"]
    if any(cell[name] != before[name] for name in ("CurrentAccessTechnology", "NetworkInUse", "RoamingStatus", "Band")):
        return True
    new, old = cell["RSRP"], before["RSRP"]
    if not isinstance(new, (int, float)) or not isinstance(old, (int, float)):
        return new is not old
    return abs(new - old) >= RSRP_STEP_DB
