"""A vendor's command as a row of its data file: pattern -> reply template, change of state, delayed URCs.

The first rule whose pattern and condition fit is taken; a command that none fits goes to the 27.007 commands.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.modem.facts import FACTS, Facts
from simulator.modem.reply import Refused, Reply

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem

ACTIONS = {
    "restart": "the module restarts: off the bus and back, with its boot URCs",
    "power-off": "the module goes off the bus until it is power-cycled",
    "rescan": "registration is looked for again",
}


@dataclass(frozen=True)
class Later:
    """Something that happens by itself some seconds after a command or a boot, or again and again."""

    delay_s: float
    every_s: float = 0.0  # in [[periodic]]: again after this long
    urc: str = ""
    when: dict[str, Any] = field(default_factory=dict)
    set: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    command: re.Pattern[str]
    reply: tuple[str, ...] = ()
    when: dict[str, Any] = field(default_factory=dict)
    error: int | None = None  # +CME ERROR of this number; -1: a bare ERROR
    delay_s: float = 0.0
    set: dict[str, Any] = field(default_factory=dict)
    action: str = ""
    after: tuple[Later, ...] = ()
    line: int = 0  # where it stands in its file


def find(rules: tuple[Rule, ...], modem: SimModem, command: str) -> Reply | None:
    """What the first fitting rule answers to `command` (AT and all), or None."""
    for rule in rules:
        match = rule.command.fullmatch(command)
        if match is None:
            continue
        groups = _groups(match)
        facts = Facts(modem, groups)
        if fits(rule.when, facts):
            return _reply(rule, modem, facts)
    return None


def _groups(match: re.Match[str]) -> dict[str, object]:
    return {name: (value or "").strip('"') for name, value in match.groupdict().items()}


def fits(when: dict[str, Any], facts: Facts) -> bool:
    """A condition is a table of facts and the value, or the list of values, that each must have."""
    for name, wanted in when.items():
        found = facts["var"].__getattr__(name[4:]) if name.startswith("var.") else facts[name]
        choices = wanted if isinstance(wanted, list) else [wanted]
        if not any(_same(found, choice) for choice in choices):
            return False
    return True


def _same(found: object, wanted: object) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return bool(found) == bool(wanted)
    return found == wanted or str(found) == str(wanted)


def _reply(rule: Rule, modem: SimModem, facts: Facts) -> Reply:
    if rule.error is not None:
        raise Refused(None if rule.error < 0 else rule.error)
    for name, value in rule.set.items():
        modem.put(name, render(value, facts) if isinstance(value, str) else value)
    lines = [render(text, facts) for text in rule.reply]

    def then() -> None:
        for later in rule.after:
            modem.later(later, facts)
        if rule.action:
            modem.act(rule.action)

    return Reply(lines, delay_s=rule.delay_s, then=then if rule.after or rule.action else None)


def render(template: str, facts: Facts) -> str:
    return string.Formatter().vformat(template, (), facts)


def words(template: str) -> list[str]:
    """The fact names that a template uses. Raises ValueError for braces that do not match."""
    return [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]


def unknown_word(name: str, groups: set[str], variables: set[str]) -> bool:
    if name.startswith("var."):
        return name[4:] not in variables
    return name not in groups and name not in FACTS
