"""The device's events in words, a line each: what `modem-agent log` shows.

EVENTS has a row for each event the agent writes; one that an agent of another version wrote is shown as it came.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from agent.cli import screen
from agent.cli.language import N_, _, spoken
from agent.cli.times import local, local_span

Event = Mapping[str, Any]

# The names of agent/modem/cause.py, as a technician says them.
CAUSES: dict[str, str] = {
    "usb-gone": N_("no modem (gone from the USB)"),
    "port-stolen": N_("another program has the modem's port"),
    "modem-hung": N_("the modem does not answer"),
    "sim-missing": N_("no internet (no SIM)"),
    "sim-locked": N_("no internet (SIM locked)"),
    "registration-denied": N_("no internet (the network refuses the SIM)"),
    "no-coverage": N_("no internet (no coverage)"),
    "apn": N_("no internet (no data connection)"),
    "throttled": N_("the slowed line is full"),
    "operator-outage": N_("no internet (operator outage)"),
}
STEPS: dict[str, str] = {
    "attach": N_("mobile data taken off and on again"),
    "radio": N_("radio switched off and on"),
    "module": N_("module restarted"),
    "usb": N_("module taken off the USB and given back"),
    "power": N_("module's power cut and given back"),
    "auto": N_("module reset, the gentlest step"),
}
# Commands of agents that did not yet tell whether one only reads.
_READERS = frozenset({"modem.at", "diag.http", "diag.speed"})


def line(event: Event) -> str:
    """29 Nov 2026 18:40 slowed to 512 kbit/s: 40 GB used"""
    data = event.get("data") or {k: v for k, v in event.items() if k not in ("time", "clk", "boot_s", "name")}
    name = str(event.get("name"))
    since = data.get("since") if (name, data.get("state")) == ("trouble", "ended") else None
    try:
        at = when(event) if since is None else when(event, str(since))
        words = EVENTS[name](data)
    except (KeyError, TypeError, ValueError):  # of another version, or damaged
        at, words = when(event), _as_it_came(name, data)
    return screen.clean(f"{at} {words}")


def reads(event: Event) -> bool:
    """Whether it is a command that changed nothing."""
    data = event.get("data") or event
    return event.get("name") == "command" and bool(data.get("reads", data.get("name") in _READERS))


def when(event: Event, since: str | None = None) -> str:
    """The time, from `since` where it lasted; and how far the clock could be believed where that was not far."""
    time, trust = event.get("time"), event.get("clk")
    shown = local(time) if since is None or time is None else local_span(since, str(time))
    return f"{shown}{'' if trust in ('sync', 'nitz', None) else f' ({trust})'}"


def _trouble(data: Event) -> str:
    causes = [_(CAUSES.get(str(cause), str(cause))) for cause in data.get("causes") or [data["cause"]]]
    if data["state"] == "began":
        return _("trouble begins: {cause}", cause=causes[0])
    if data["state"] == "changed":
        return _("trouble is now: {cause}", cause=causes[0])
    all_of_it = reduce(lambda before, cause: _("{before}; then {cause}", before=before, cause=cause), causes)
    if data["seconds"] is None:
        return _("{causes}, for an unknown time", causes=all_of_it)
    return _("{causes}, {age}", causes=all_of_it, age=screen.age(data["seconds"]))


def _throttle(data: Event) -> str:
    reason = spoken(data["reason"])
    if data["kind"] == "restored":
        return _("fast again ({rate}): {reason}", rate=_rate(data), reason=reason)
    if "% used, past " in data["reason"]:  # agent/plan/policy.py; otherwise somebody's own words
        reason = _("{size} used", size=_amount(data["UsedBytes"]))
    return _("slowed to {rate}: {reason}", rate=_rate(data), reason=reason)


def _warning(data: Event) -> str:
    used, limit = _amount(data["UsedBytes"]), _amount(data["LimitBytes"])
    return _("{percent} % used: {used} of {limit}", percent=data["percent"], used=used, limit=limit)


def _reset(data: Event) -> str:
    step = data.get("level") or data["rung"]
    because = _(CAUSES.get(str(data["cause"]), str(data["cause"]))) if "cause" in data else _("by command")
    return _("{step}: {cause}", step=_(STEPS.get(str(step), str(step))), cause=because)


def _command(data: Event) -> str:
    return _("command {name}, by {who} ({role})", name=data["name"], who=data["source"], role=data["role"])


def _sim(data: Event) -> str:
    cards = {"now": data["ICCID"], "before": data["PreviousICCID"]}
    if data["Foreign"]:
        return _(
            "another SIM: {now} in place of {before}; it is not the contract's: its bytes are counted apart", **cards
        )
    return _("another SIM: {now} in place of {before}", **cards)


STORES = {"damaged": N_("damaged"), "new": N_("made anew"), "restored": N_("restored")}


def _store(data: Event) -> str:
    values = {"state": _(STORES.get(str(data["state"]), str(data["state"]))), "reason": data["reason"]}
    if data.get("set_aside"):
        return _("the database was {state}, it is kept as {file}: {reason}", file=data["set_aside"], **values)
    return _("the database was {state}: {reason}", **values)


def _rate(data: Event) -> str:
    bps = data["ShapingRate"]
    return screen.rate(None if bps < 0 else bps)


def _amount(count: int) -> str:
    """40 GB, 32.5 GB, 999.9 MB: a plan's figures, without the zeros that say nothing."""
    number, unit = str(screen.size(count)).split(" ")
    whole, sign, part = number.partition("," if "," in number else ".")
    part = part.rstrip("0")
    return f"{whole}{sign if part else ''}{part} {unit}"


def _as_it_came(name: str, data: Event) -> str:
    told = ", ".join(f"{k}={v if isinstance(v, str) else json.dumps(v, default=str)}" for k, v in data.items())
    return f"{name}{': ' + told if told else ''}"


EVENTS: Mapping[str, Callable[[Event], str]] = {
    "boot": lambda data: _("agent {version} started", version=data["version"]),
    "trouble": _trouble,
    "throttle": _throttle,
    "warning": _warning,
    "new-period": lambda data: _("a new billing period: {size} until its end", size=_amount(data["LimitBytes"])),
    "expired": lambda data: _("the contract has ended: {reason}", reason=spoken(data["reason"])),
    "modem-reset": _reset,
    "command": _command,
    "store": _store,
    "sim": _sim,
    "statement": lambda data: _(
        "the month from {day} was sealed: {size} used", day=data["PeriodStart"], size=_amount(data["UsedBytes"])
    ),
    "modem-context": lambda data: _("the APN {apn} was set in the module", apn=data["apn"]),
    "stalled": lambda data: _("a part of the agent makes no progress: {part}", part=data["task"]),
    "fault": lambda data: _(
        "the agent ended itself, to be started anew: {part}: {reason}", part=data["task"], reason=data["reason"]
    ),
}
