"""`modem-agent status`: one screen that answers is it on, how good, how much used, how fast and why, since when."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent.cli import exits, screen
from agent.cli.times import local, seconds_between
from agent.cli.verb import Call, verb
from agent.errors import AgentNotRunning

if TYPE_CHECKING:
    from agent import status_schema as schema

CLOCKS = {
    "sync": "by NTP",
    "nitz": "by the mobile network",
    "stored": "not trusted: at least this late",
    "unsync": "not trusted",
}


@verb("modem-agent status", "modem-agent status --json")
def command(call: Call) -> int:
    """Is it on, how good, how much used, how fast and why.

    Without an agent it shows what the store holds, says how old that is, and ends with 3.
    """
    try:
        with call.client() as client:
            status = client.status()
    except AgentNotRunning as error:
        return _stored(call, error)
    if call.json:
        screen.print_json(status)
        return exits.OK
    print("\n".join(lines(status)))
    return exits.OK


def _stored(call: Call, error: AgentNotRunning) -> int:
    from agent.cli import offline_status

    with offline_status.instead_of(error):
        status = offline_status.status(call)
    if call.json:
        screen.print_json(status)
        return exits.NOT_RUNNING
    print("\n".join(lines(status)))
    print(f"modem-agent: {error}", file=sys.stderr)
    return exits.NOT_RUNNING


def lines(status: schema.Status) -> list[str]:
    """The whole screen; of a status that the store gave, what the store can know."""
    kept = status.get("stored")
    if kept is None:
        return screen.pairs(rows(status))
    old = screen.age(kept["age_s"])
    shown = [("Agent", f"NOT RUNNING; what follows is from the store, {old} old")]
    wanted = ("Device", "Time", "Used", "Left", "Speed", "Since", "Config", "Update")
    return screen.pairs([*shown, *[row for row in rows(status) if row[0] in wanted]])


def rows(status: schema.Status) -> list[tuple[str, object]]:
    """The screen as (name, value); a value of None is left out."""
    return [
        ("Device", status.get("device") or None),
        ("Agent", f"{status['version']}, on for {screen.age(status['agent_up_s'])}"),
        ("Time", f"{local(status['time'])} ({CLOCKS.get(status['clk'], status['clk'])})"),
        ("Modem", _modem(status["modem"])),
        (
            "Trouble",
            None if status["modem"].get("cause", "none") == "none" else f"{status['modem']['cause']}; ask doctor",
        ),
        ("SIM", _sim(status["modem"])),
        ("Network", network(status["modem"].get("reading") or {})),
        ("Signal", signal((status["modem"].get("reading") or {}).get("signal") or {}) or "unknown"),
        ("Link", _links(status["links"])),
        ("Uncounted", _uncounted(status.get("uplink"))),
        ("Used", _used(status.get("usage"))),
        ("Left", _left(status)),
        ("Speed", speed(status)),
        ("Since", since(status)),
        ("Shaper", _shaper(status.get("shaper"))),
        ("Broker", _broker(status)),
        ("Store", None if status["store"] == "ok" else status["store"]),
        ("Config", _refused(status.get("config_refused"))),
        ("Update", _update(status.get("update"))),
        ("Alarms", ", ".join(status["alarms"]) or None),
        ("Faults", ", ".join(f"{name} {count}" for name, count in sorted(status["faults"].items())) or None),
    ]


def _refused(problem: str | None) -> str | None:
    return f"the last good one is in force; refused: {problem}" if problem else None


def _update(update: dict[str, str] | None) -> str | None:
    """What became of the last one: from which version to which."""
    if update is None:
        return None
    way = f"{update['previous']} to {update['version']}: {update['result']}"
    return f"{way}: {update['reason']}" if update["reason"] else way


def _modem(modem: schema.Modem) -> str:
    reading = modem.get("reading") or {}
    identity = reading.get("identity") or {}
    name = " ".join(str(v) for v in (identity.get("manufacturer"), identity.get("model")) if v)
    warm = reading.get("temperature_c")
    parts = [modem["state"], name, None if warm is None else f"{warm:g} C"]
    shown = ", ".join(str(p) for p in parts if p)
    return f"{shown}: {modem['reason']}" if modem.get("reason") else shown


def _sim(modem: schema.Modem) -> str | None:
    sim = (modem.get("reading") or {}).get("sim") or {}
    state = sim.get("state")
    if state is None:
        return None
    left = sim.get("pin_attempts")
    words = [str(state), *sim_words(modem.get("sim") or {})]
    if left is not None and state != "READY":
        words.append(f"{left} PIN attempt{'' if left == 1 else 's'} left")
    if modem.get("pin"):
        words.append(f"not entered: {modem['pin']}")
    return ", ".join(words)


def sim_words(history: schema.SimHistory) -> list[str]:
    """The card against the contract, and against the one before it."""
    words = ["not the contract's: counted apart, nothing is cut"] if history.get("foreign") else []
    if history.get("since") and history.get("before"):
        words.append(f"in place of {history['before']} since {local(history['since'])}")
    return words


def network(reading: schema.Heard) -> str | None:
    """Registered where, on what."""
    registration, operator = reading.get("registration") or {}, reading.get("operator") or {}
    words = [
        registration.get("name"),
        operator.get("name") or operator.get("plmn"),
        reading.get("access_technology"),
        band(reading),
    ]
    return ", ".join(str(w) for w in words if w) or None


def band(reading: schema.Heard) -> str | None:
    value = (reading.get("signal") or {}).get("band")
    return None if value is None else f"band {value}"


def signal(values: schema.Signal) -> str | None:
    """good (RSRP -95 dBm, RSRQ -10 dB, SINR 12 dB)"""
    from agent import quality

    levels = quality.levels(values)
    shown = [
        f"{name.split('_')[0].upper()} {value:g} {quality.SCALES[name][0]}"
        for name, value in levels.items()
        if value is not None and (name != "rssi_dbm" or levels["rsrp_dbm"] is None)
    ]
    judged = quality.overall(values)
    return f"{judged} ({', '.join(shown)})" if judged else None


def _links(links: list[schema.Link]) -> str:
    return ", ".join(f"{link['ifname']} {'up' if link['up'] else 'down'}" for link in links) or "no WAN interface"


def _uncounted(uplink: schema.Mismatch | None) -> str | None:
    return None if uplink is None else f"{uplink['text']}. {uplink['advice']}"


def _used(usage: schema.Usage | None) -> str | None:
    if usage is None:
        return None
    both = f"{screen.size(usage['received_bytes'])} down, {screen.size(usage['sent_bytes'])} up"
    gauge = screen.bar(usage["percent"] / 100, 22) if screen.width() >= 60 else ""
    words = f"{usage['percent']:.1f} %, {screen.size(usage['charged_bytes'])} of {screen.size(usage['limit_bytes'])}"
    return f"{gauge} {words} ({both})".strip()


def _left(status: schema.Status) -> str | None:
    usage, period = status.get("usage"), status.get("period")
    if usage is None or period is None:
        return None
    wait = screen.age(seconds_between(status["time"], period["end"]))
    return f"{screen.size(max(0, usage['remaining_bytes']))} until {local(period['end'])} (in {wait})"


def speed(status: schema.Status) -> str | None:
    """What the plan grants now and why."""
    plan = status.get("plan")
    if plan is None:
        return None
    rates = plan["rates"]
    down, up = rates["down_bps"], rates["up_bps"]
    fast = "unlimited" if down is None and up is None else f"{screen.rate(down)} down, {screen.rate(up)} up"
    return f"{plan['state']}: {fast}" + (f" ({plan['reason']})" if plan.get("reason") else "")


def since(status: schema.Status) -> str | None:
    """Since when the line has been this fast or slow."""
    when = local((status.get("plan") or {}).get("since"))
    return when and f"{when} at this speed"


def _shaper(shaper: schema.Shaper | None) -> str | None:
    if shaper is None:
        return None
    by = " by " if shaper["state"] == "enforced" else ", would be by "
    words = f"{shaper['state']}{by + shaper['qdisc'] if shaper.get('qdisc') else ''}"
    return "; ".join(str(w) for w in (words, shaper.get("reason"), shaper.get("advice")) if w)


def _broker(status: schema.Status) -> str:
    session, waiting = status["session"], status["outbox"]["rows"]
    since = session.get("since_boot_s")
    lasting = "" if since is None else f" for {screen.age(status['up'] - since)}"
    if not session.get("broker"):
        words = "none configured"
    elif session["connected"]:
        words = f"connected to {session['broker']}{lasting}"
    else:
        words = f"not connected to {session['broker']}{lasting}"
        words += f": {session['last_error']}" if session.get("last_error") else ""
    words += f"; {waiting} reports waiting" if waiting else ""
    left_s = seconds_between(status["time"], session.get("certificate_ends"))
    return words if left_s is None else f"{words}; certificate for {max(0, int(left_s // 86_400))} more days"
