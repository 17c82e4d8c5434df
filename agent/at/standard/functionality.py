"""State of the module itself: +CFUN, +CEER, +CMER, +CPAS, +CIND, +CBC (27.007, 8.2, 6.10, 8.10, 8.1, 8.9, 8.4)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import Reading, at, groups, number, number_list, payload, split, text, unquote, values
from agent.at.engine.row import EXECUTE, READ, TEST, Command, Row

_RADIO_OFF = frozenset({0, 4, 7, 19})  # 19: u-blox, minimum functionality with the SIM deactivated


def read_cfun(lines: Sequence[str], command: Command) -> Reading | None:
    """+CFUN: <fun>[,…]. Some ZTE firmware answers the test form here, which says nothing about the state."""
    fun = number(at(values(lines[-1]), 0), 0, 255) if lines else None
    return None if fun is None else {"fun": fun, "radio": fun not in _RADIO_OFF}


def read_ceer(lines: Sequence[str], command: Command) -> Reading | None:
    body = payload(lines[-1]) if lines else ""
    cause = ", ".join(map(unquote, split(body))) if '"' in body else body
    return {"cause": cause} if cause else None


def read_event_test(lines: Sequence[str], command: Command) -> Reading | None:
    """+CMER=?: <mode>,<keyp>,<disp>,<ind>,<bfr>: what may be asked for; brackets around one number are optional."""
    fields = _grouped(payload(lines[-1])) if lines else []
    if len(fields) < 4:
        return None
    return {"modes": number_list(fields[0]), "indicators": number_list(fields[3])}


def _grouped(body: str) -> list[str]:
    """Fields of a test form; a list in brackets is one field."""
    return [part.strip().strip("()") for part in re.findall(r"\([^)]*\)|[^,]+", body)]


def read_activity(lines: Sequence[str], command: Command) -> Reading | None:
    """+CPAS: 0 ready, 3 ringing, 4 in a call, 5 asleep."""
    state = number(at(values(lines[-1]), 0), 0, 255) if lines else None
    return None if state is None else {"activity": state}


def read_indicator_names(lines: Sequence[str], command: Command) -> Reading | None:
    """+CIND=?: ("signal",(0-5)),("service",(0,1)),…"""
    found: list[Reading] = []
    body = payload(" ".join(lines)) if lines else ""
    for group in groups(body[1:-1] if body.startswith("((") else body):  # one more pair around all of it: some Samsung
        fields = split(group)
        label, figures = text(at(fields, 0)), number_list(group.partition("(")[2])
        if label and figures:
            found.append({"name": label.lower(), "min": min(figures), "max": max(figures)})
    return {"indicators": found} if found else None


def read_indicators(lines: Sequence[str], command: Command) -> Reading | None:
    figures = [number(raw, 0, 255) for raw in values(lines[-1])] if lines else []
    return {"values": figures} if figures and None not in figures else None


def read_battery(lines: Sequence[str], command: Command) -> Reading | None:
    """+CBC: <bcs>,<bcl>[,<mV>]; SIMCom gives volts alone, 3.914V."""
    f = values(lines[-1]) if lines else []
    volts = re.fullmatch(r"([0-9]\.[0-9]{1,3})V?", f[0].upper()) if len(f) == 1 else None
    if volts:
        return {"battery_status": None, "battery_percent": None, "millivolts": round(float(volts[1]) * 1000)}
    status = number(at(f, 0), 0, 3)
    if status is None:
        return None
    charge = number(at(f, 1), 0, 100)
    millivolts = number(at(f, 2), 0, 30_000) if len(f) > 2 else number(at(f, 1), 1000, 30_000)  # Fibocom: <0>,<mV>
    return {"battery_status": status, "battery_percent": charge, "millivolts": millivolts}


ROWS = (
    Row("+CFUN", (READ,), read_cfun, "27.007 8.2", "fun radio", 5.0, empty_ok=False),
    Row("+CEER", (EXECUTE,), read_ceer, "27.007 6.10", "cause"),
    Row("+CMER", (TEST,), read_event_test, "27.007 8.10", "modes indicators"),
    Row("+CPAS", (EXECUTE,), read_activity, "27.007 8.1", "activity"),
    Row("+CIND", (TEST,), read_indicator_names, "27.007 8.9", "indicators: name min max"),
    Row("+CIND", (READ,), read_indicators, "27.007 8.9", "values"),
    Row("+CBC", (EXECUTE, READ), read_battery, "27.007 8.4", "battery_status battery_percent millivolts"),
)
