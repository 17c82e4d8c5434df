"""`modem-agent status`: one screen that answers is it on, how good, how much used, how fast and why, since when."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent.cli import exits, screen
from agent.cli.language import N_, _, ngettext, spoken
from agent.cli.times import local, seconds_between
from agent.cli.verb import Call, verb
from agent.errors import AgentNotRunning

if TYPE_CHECKING:
    from agent import status_schema as schema

CLOCKS = {
    "sync": N_("by NTP"),
    "nitz": N_("by the mobile network"),
    "stored": N_("not trusted: at least this late"),
    "unsync": N_("not trusted"),
}
# The plan's states (agent/plan/policy.py) as a technician says them.
SPEEDS = {
    "normal": N_("full speed"),
    "warned": N_("full speed, little is left"),
    "throttled": N_("slowed"),
    "forced": N_("slowed by order"),
    "lifted": N_("full speed by order"),
    "suspended": N_("plan suspended"),
    "expired": N_("full speed, contract ended"),
}
# What the shaper's states (agent/traffic/model.py) mean for the line.
SHAPER = {
    "enforced": N_("works"),
    "off": N_("nothing to slow"),
    "unenforced": N_("does not work"),
    "foreign": N_("does not work: another program shapes the line"),
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
    print(screen.clean(f"modem-agent: {spoken(str(error))}"), file=sys.stderr)
    return exits.NOT_RUNNING


def lines(status: schema.Status) -> list[str]:
    """The whole screen; of a status that the store gave, what the store can know."""
    kept = status.get("stored")
    if kept is None:
        return screen.pairs(rows(status))
    old = _("NOT RUNNING; what follows is from the store, {age} old", age=screen.age(kept["age_s"]))
    wanted = {_(name) for name in ("Device", "Time", "Used", "Left", "Speed", "Since", "Config", "Update")}
    return screen.pairs([(_("Agent"), old), *[row for row in rows(status) if row[0] in wanted]])


def rows(status: schema.Status) -> list[tuple[str, object]]:
    """The screen as (name, value); a value of None is left out."""
    clock = CLOCKS.get(status["clk"], status["clk"])
    return [
        (_("Device"), status.get("device") or None),
        (_("Agent"), _("{version}, on for {age}", version=status["version"], age=screen.age(status["agent_up_s"]))),
        (_("Time"), _("{time} ({trust})", time=local(status["time"]), trust=_(clock))),
        (_("Modem"), _modem(status["modem"])),
        (_("Trouble"), _trouble(status["modem"].get("cause", "none"))),
        (_("SIM"), _sim(status["modem"])),
        (_("Network"), network(status["modem"].get("reading") or {})),
        (_("Signal"), signal((status["modem"].get("reading") or {}).get("signal") or {}) or _("unknown")),
        (_("Link"), _links(status["links"])),
        (_("Uncounted"), _uncounted(status.get("uplink"))),
        (_("Used"), _used(status.get("usage"))),
        (_("Reckoned"), reckoned(status.get("usage"))),
        (_("Left"), _left(status)),
        (_("Speed"), speed(status)),
        (_("Since"), since(status)),
        (_("Shaper"), _shaper(status.get("shaper"))),
        (_("Broker"), _broker(status)),
        (_("Store"), None if status["store"] == "ok" else spoken(status["store"])),
        (_("Config"), _refused(status.get("config_refused"))),
        (_("Update"), _update(status.get("update"))),
        (_("Alarms"), ", ".join(status["alarms"]) or None),
        (_("Faults"), ", ".join(f"{name} {count}" for name, count in sorted(status["faults"].items())) or None),
    ]


def _trouble(cause: str) -> str | None:
    if cause == "none":
        return None
    from agent.cli.events import CAUSES

    return _("{cause}; ask 'modem-agent doctor'", cause=_(CAUSES.get(cause, cause)))


def _refused(problem: str | None) -> str | None:
    return _("the last good one is in force; refused: {problem}", problem=spoken(problem)) if problem else None


LINKS = {True: N_("{link} up"), False: N_("{link} down")}
UPDATES = {
    "refused": N_("{before} to {after}: refused"),
    "restored": N_("{before} to {after}: taken back"),
    "installed": N_("{before} to {after}: installed"),
}


def _update(update: dict[str, str] | None) -> str | None:
    """What became of the last one: from which version to which."""
    if update is None:
        return None
    way = _(UPDATES.get(update["result"], update["result"]), before=update["previous"], after=update["version"])
    return _("{what}: {reason}", what=way, reason=spoken(update["reason"])) if update["reason"] else way


def _modem(modem: schema.Modem) -> str:
    reading = modem.get("reading") or {}
    identity = reading.get("identity") or {}
    name = " ".join(str(v) for v in (identity.get("manufacturer"), identity.get("model")) if v)
    warm = reading.get("temperature_c")
    parts = [spoken(modem["state"]), name, None if warm is None else _("{degrees:g} C", degrees=warm)]
    shown = ", ".join(str(p) for p in parts if p)
    return _("{what}: {reason}", what=shown, reason=spoken(modem["reason"])) if modem.get("reason") else shown


def _sim(modem: schema.Modem) -> str | None:
    sim = (modem.get("reading") or {}).get("sim") or {}
    state = sim.get("state")
    if state is None:
        return None
    left = sim.get("pin_attempts")
    words = [spoken(str(state)), *sim_words(modem.get("sim") or {})]
    if left is not None and state != "READY":
        words.append(ngettext("{count} PIN attempt left", "{count} PIN attempts left", left))
    if modem.get("pin"):
        words.append(_("not entered: {reason}", reason=spoken(modem["pin"])))
    return ", ".join(words)


def sim_words(history: schema.SimHistory) -> list[str]:
    """The card against the contract, and against the one before it."""
    words = [_("not the contract's: counted apart, nothing is cut")] if history.get("foreign") else []
    if history.get("since") and history.get("before"):
        words.append(_("in place of {card} since {time}", card=history["before"], time=local(history["since"])))
    return words


def network(reading: schema.Heard) -> str | None:
    """Registered where, on what."""
    registration, operator = reading.get("registration") or {}, reading.get("operator") or {}
    words = [
        spoken(registration.get("name") or ""),
        operator.get("name") or operator.get("plmn"),
        reading.get("access_technology"),
        band(reading),
    ]
    return ", ".join(str(w) for w in words if w) or None


def band(reading: schema.Heard) -> str | None:
    value = (reading.get("signal") or {}).get("band")
    return None if value is None else _("band {number}", number=value)


def signal(values: schema.Signal) -> str | None:
    """good (RSRP -95 dBm, RSRQ -10 dB, SINR 12 dB)"""
    from agent import quality

    levels = quality.levels(values)
    shown = [
        _("{name} {value:g} {unit}", name=name.split("_")[0].upper(), value=value, unit=quality.SCALES[name][0])
        for name, value in levels.items()
        if value is not None and (name != "rssi_dbm" or levels["rsrp_dbm"] is None)
    ]
    judged = quality.overall(values)
    return _("{quality} ({values})", quality=spoken(judged), values=", ".join(shown)) if judged else None


def _links(links: list[schema.Link]) -> str:
    shown = [_(LINKS[bool(link["up"])], link=link["ifname"]) for link in links]
    return ", ".join(shown) or _("no WAN interface")


def _uncounted(uplink: schema.Mismatch | None) -> str | None:
    if uplink is None:
        return None
    return _("{problem}. {advice}", problem=spoken(uplink["text"]), advice=spoken(uplink["advice"]))


def _used(usage: schema.Usage | None) -> str | None:
    if usage is None:
        return None
    gauge = screen.bar(usage["percent"] / 100, 22) if screen.width() >= 60 else ""
    words = _(
        "{percent:.1f} %, {used} of {limit} ({received} down, {sent} up)",
        percent=float(usage["percent"]),
        used=screen.size(usage["charged_bytes"]),
        limit=screen.size(usage["limit_bytes"]),
        received=screen.size(usage["received_bytes"]),
        sent=screen.size(usage["sent_bytes"]),
    )
    return f"{gauge} {words}".strip()


def reckoned(usage: schema.Usage | None) -> str | None:
    """Why what is used is not down plus up; None where it is, as far as a screen shows it."""
    if usage is None:
        return None
    both = usage["received_bytes"] + usage["sent_bytes"]
    if screen.size(both) == screen.size(usage["charged_bytes"]):
        return None
    own, foreign, corrected = usage["management_bytes"], usage.get("foreign_bytes", 0), usage.get("correction_bytes", 0)
    parts = [
        _("less {size} of the agent's own", size=screen.size(own)) if own else "",
        _("less {size} over another SIM", size=screen.size(foreign)) if foreign else "",
        _("plus {size} by the operator's count", size=screen.size(corrected)) if corrected > 0 else "",
        _("less {size} by the operator's count", size=screen.size(-corrected)) if corrected < 0 else "",
    ]
    shown = ", ".join(part for part in parts if part) or _("the plan counts one direction")
    return _("down plus up is {sum}; {parts}", sum=screen.size(both), parts=shown)


def _left(status: schema.Status) -> str | None:
    usage, period = status.get("usage"), status.get("period")
    if usage is None or period is None:
        return None
    return _(
        "{left} until {time} (in {wait})",
        left=screen.size(max(0, usage["remaining_bytes"])),
        time=local(period["end"]),
        wait=screen.age(seconds_between(status["time"], period["end"])),
    )


def speed(status: schema.Status) -> str | None:
    """What the plan grants now and why."""
    plan = status.get("plan")
    if plan is None:
        return None
    down, up = plan["rates"]["down_bps"], plan["rates"]["up_bps"]
    rates = (
        _("unlimited")
        if down is None and up is None
        else _("{down} down, {up} up", down=screen.rate(down), up=screen.rate(up))
    )
    state = _(SPEEDS.get(plan["state"], plan["state"]))
    if not plan.get("reason"):
        return _("{state}: {rates}", state=state, rates=rates)
    return _("{state}: {rates} ({reason})", state=state, rates=rates, reason=spoken(plan["reason"]))


def since(status: schema.Status) -> str | None:
    """Since when the line has been this fast or slow."""
    when = local((status.get("plan") or {}).get("since"))
    return when and _("{time} at this speed", time=when)


def _shaper(shaper: schema.Shaper | None) -> str | None:
    if shaper is None:
        return None
    state = _(SHAPER.get(shaper["state"], shaper["state"]))
    words = _("{state} ({qdisc})", state=state, qdisc=shaper["qdisc"]) if shaper.get("qdisc") else state
    told = [spoken(str(shaper.get(name) or "")) for name in ("reason", "advice")]
    return "; ".join(word for word in (words, *told) if word)


def _broker(status: schema.Status) -> str:
    session, waiting = status["session"], status["outbox"]["rows"]
    words = _session(session, status["up"])
    if waiting:
        words = ngettext("{words}; {count} report waiting", "{words}; {count} reports waiting", waiting, words=words)
    left_s = seconds_between(status["time"], session.get("certificate_ends"))
    if left_s is None:
        return words
    days = max(0, int(left_s // 86_400))
    return ngettext(
        "{words}; certificate for {count} more day", "{words}; certificate for {count} more days", days, words=words
    )


def _session(session: schema.Session, up_s: float) -> str:
    broker, began = session.get("broker"), session.get("since_boot_s")
    if not broker:
        return _("none configured")
    values = {"broker": broker, "age": None if began is None else screen.age(up_s - began)}
    if session["connected"]:
        return _("connected to {broker}", **values) if began is None else _("connected to {broker} for {age}", **values)
    words = (
        _("not connected to {broker}", **values)
        if began is None
        else _("not connected to {broker} for {age}", **values)
    )
    error = session.get("last_error")
    return _("{what}: {reason}", what=words, reason=spoken(error)) if error else words
