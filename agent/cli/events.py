"""The device's events in words, a line each: what `modem-agent log` shows.

EVENTS has a row for each event the agent writes; one that an agent of another version wrote is shown as it came.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from agent.cli import screen
from agent.cli.times import local, local_span

Event = Mapping[str, Any]

# The names of agent/modem/cause.py, as a technician says them.
CAUSES = {
    "usb-gone": "no modem (gone from the USB)",
    "port-stolen": "another program has the modem's port",
    "modem-hung": "the modem does not answer",
    "sim-missing": "no internet (no SIM)",
    "sim-locked": "no internet (SIM locked)",
    "registration-denied": "no internet (the network refuses the SIM)",
    "no-coverage": "no internet (no coverage)",
    "apn": "no internet (no data connection)",
    "throttled": "the slowed line is full",
    "operator-outage": "no internet (operator outage)",
}
STEPS = {
    "attach": "detached from the network and attached again",
    "radio": "radio switched off and on",
    "module": "module restarted",
    "usb": "module taken off the USB and given back",
    "power": "module's power cut and given back",
    "auto": "module reset, the gentlest step",
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
    causes = [CAUSES.get(cause, str(cause)) for cause in data.get("causes") or [data["cause"]]]
    if data["state"] in ("began", "changed"):
        return f"trouble {'begins' if data['state'] == 'began' else 'is now'}: {causes[0]}"
    seconds = data["seconds"]
    lasted = "for an unknown time" if seconds is None else screen.age(seconds)
    return f"{'; then '.join(causes)}, {lasted}"


def _throttle(data: Event) -> str:
    if data["kind"] == "restored":
        return f"fast again ({_rate(data)}): {data['reason']}"
    by_use = "% used, past " in data["reason"]  # agent/plan/policy.py; otherwise somebody's own words
    return f"slowed to {_rate(data)}: {_amount(data['UsedBytes']) + ' used' if by_use else data['reason']}"


def _warning(data: Event) -> str:
    return f"{data['percent']} % used: {_amount(data['UsedBytes'])} of {_amount(data['LimitBytes'])}"


def _reset(data: Event) -> str:
    step = data.get("level") or data["rung"]
    because = CAUSES.get(data["cause"], data["cause"]) if "cause" in data else "by command"
    return f"{STEPS.get(step, step)}: {because}"


def _command(data: Event) -> str:
    return f"command {data['name']}, by {data['source']} ({data['role']})"


def _sim(data: Event) -> str:
    foreign = "; it is not the contract's: its bytes are counted apart" if data["Foreign"] else ""
    return f"another SIM: {data['ICCID']} in place of {data['PreviousICCID']}{foreign}"


def _store(data: Event) -> str:
    aside = f", it is kept as {data['set_aside']}" if data.get("set_aside") else ""
    return f"the database was {data['state']}{aside}: {data['reason']}"


def _rate(data: Event) -> str:
    bps = data["ShapingRate"]
    return screen.rate(None if bps < 0 else bps)


def _amount(count: int) -> str:
    """40 GB, 32.5 GB, 999.9 MB: a plan's figures, without the zeros that say nothing."""
    number, unit = str(screen.size(count)).split(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def _as_it_came(name: str, data: Event) -> str:
    told = ", ".join(f"{k}={v if isinstance(v, str) else json.dumps(v, default=str)}" for k, v in data.items())
    return f"{name}{': ' + told if told else ''}"


EVENTS: Mapping[str, Callable[[Event], str]] = {
    "boot": lambda data: f"agent {data['version']} started",
    "trouble": _trouble,
    "throttle": _throttle,
    "warning": _warning,
    "new-period": lambda data: f"a new billing period: {_amount(data['LimitBytes'])} until its end",
    "expired": lambda data: f"the contract has ended: {data['reason']}",
    "modem-reset": _reset,
    "command": _command,
    "store": _store,
    "sim": _sim,
    "statement": lambda data: f"the month from {data['PeriodStart']} was sealed: {_amount(data['UsedBytes'])} used",
    "modem-context": lambda data: f"the APN {data['apn']} was set in the module",
    "stalled": lambda data: f"a part of the agent makes no progress: {data['task']}",
    "fault": lambda data: f"the agent ended itself, to be started anew: {data['task']}: {data['reason']}",
}
