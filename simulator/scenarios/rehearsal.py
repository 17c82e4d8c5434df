"""Tries each action and name of a scenario beforehand: what is misspelt is told with its line, not at half time.

Called by the reader. An action is done to a module of its own; a name is looked up where the runner will look it up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from agent.modem import Reading
from simulator.errors import SimulatorError
from simulator.modem import SimModem
from simulator.modem import state as settings
from simulator.ports.actions import ACTIONS, parse_time, perform, status
from simulator.scenarios.devices import kind_of


class Words(NamedTuple):
    """How the words of an action are read, and what they are."""

    needed: tuple[Callable[[str], object], ...]
    about: str
    optional: tuple[Callable[[str], object], ...] = ()


HOUSEHOLD = {
    "traffic": Words((float,), "DOWN_MBIT [UP_MBIT]: what the household asks of the line from now on", (float,)),
    "device-clock": Words((parse_time,), "TIME: what the device's own clock says"),
    "updates": Words((kind_of, float), "DEVICE GB: published for a device of this kind, which fetches them by itself"),
    "top-up": Words((float,), "GB: more allowance in this billing period"),
}
PLAN_FACTS = (
    *("state", "down_bps", "used_gb", "remaining_gb", "percent", "period", "clock", "trust"),
    *("slow_hours", "updates_gb", "updates_waiting_gb", "miscounted_bytes"),
)
SOURCES = ("reading", "plan", "modem", "says", "urc", "answers", "cause")
COMPARISON = re.compile(r"(>=|<=|>|<|~)\s*(.*)", re.DOTALL)


def action_problem(profile: str, action: Sequence[str]) -> str:
    """What is wrong with an action; empty when nothing is."""
    text = " ".join(action)
    if not action or action[0] not in {*ACTIONS, *HOUSEHOLD}:
        return f"no action {text!r}; there are: {', '.join(sorted({*ACTIONS, *HOUSEHOLD}))}"
    name, *args = action
    words = HOUSEHOLD.get(name)
    try:
        if words is None:
            perform(SimModem(profile), name, args)
            return ""
        readers = words.needed + words.optional
        if not len(words.needed) <= len(args) <= len(readers):
            return f"{text!r} has not the words that it needs: {name} {words.about}"
        for read, word in zip(readers, args, strict=False):
            read(word)
    except IndexError:
        return f"{text!r} has not the words that it needs"
    except (SimulatorError, ValueError) as error:
        return f"{text!r}: {error}"
    return ""


def expectation_problem(profile: str, name: str, wanted: object) -> str:
    """What is wrong with an expectation; empty when nothing is."""
    source, _, path = name.partition(".")
    if source not in SOURCES:
        return f"{name!r} begins with none of {', '.join(SOURCES)}"
    if source == "plan" and path not in PLAN_FACTS:
        return f"the plan tells no {path!r}; it tells {', '.join(PLAN_FACTS)}"
    if source == "reading":
        return _reading_problem(path)
    if source == "modem":
        modem = SimModem(profile)
        try:
            if path not in status(modem):
                settings.read(modem.state, path)
        except SimulatorError as error:
            return str(error)
    return "; ".join(filter(None, map(_value_problem, wanted if isinstance(wanted, list) else [wanted])))


def _reading_problem(path: str) -> str:
    """A name is followed as far as a reading that was never taken can tell what there is."""
    place: Any = Reading(0.0).to_dict()
    for part in path.split("."):
        if not isinstance(place, Mapping):
            break
        if part not in place:
            return f"a reading has no {path!r}; at {part!r} there are {', '.join(sorted(place))}"
        place = place[part]
    return ""


def _value_problem(wanted: object) -> str:
    match = COMPARISON.fullmatch(wanted) if isinstance(wanted, str) else None
    if match is None:
        return ""
    sign, value = match.groups()
    try:
        re.compile(value) if sign == "~" else float(value)
    except (ValueError, re.error) as error:
        return f"{wanted!r}: {error}"
    return ""
