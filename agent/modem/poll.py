"""One Reading from the answers of one poll. Pure: called by the Modem and by tests with captured answers.

The same figure comes from several commands; the more telling source wins, field by field, and its name is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from agent.at import Reading as Answer
from agent.at.merge import CARRIER_SOURCES, CELL_SOURCES, SIGNAL_SOURCES, settled
from agent.at.standard.registration import DOMAIN_ORDER, MAKERS_ACCESS, standing
from agent.modem.context import contexts_of
from agent.modem.reading import Identity, Operator, Reading, Registration, Signal, Sim, Values

if TYPE_CHECKING:
    from agent.status_schema import Context

TECHNOLOGY_SOURCES = (
    "+QENG", "+QNWINFO", "+CPSI", "^MONSSC", "^SYSINFOEX", "^HCSQ", "!GSTATUS", "+GTCCINFO", "^DEBUG", "^CELLINFO",
    "^SMONI", "+NETDMSGEX", "+MUESTATS", "+EEMGINFO", "+QCSQ", "+CNSMOD", "#PSNT",
)  # fmt: skip
COUNTER_SOURCES = ("+QGDCNT", "+UGCNTRD")
_SIGNAL_FIELDS = ("rssi_dbm", "rsrp_dbm", "rsrq_db", "rscp_dbm", "ecio_db")
_CELL_FIELDS = ("band", "earfcn", "pci", "bandwidth_mhz")
_SIM_ERRORS = {10: "not-inserted", 13: "failure", 14: "busy", 15: "wrong", 515: "busy", 11: "SIM PIN", 12: "SIM PUK"}
_SIM_LOCKS = {"not-inserted": "not-inserted", "SIM PIN": "sim-pin", "SIM PUK": "sim-puk"}


def assemble(
    answers: Mapping[str, Answer],
    *,
    at_boot_s: float,
    port: str = "",
    profile: str = "",
    identity: Identity | None = None,
    card: Values | None = None,
    sim_error: int | str | None = None,
    time_boot_s: float | None = None,
    believable_from: datetime | None = None,
) -> Reading:
    """`answers` maps a command's name (+CSQ) to its reading; `card` is what was read from the SIM when it came."""
    answers = settled(answers)
    registration = _registration(answers)
    when = _time(answers, believable_from)
    return Reading(
        at_boot_s=at_boot_s,
        port=port,
        profile=profile,
        identity=identity or Identity(),
        sim=_sim(answers.get("+CPIN") or {}, card or {}, sim_error),
        registration=registration,
        operator=_operator(answers),
        signal=_signal(answers),
        access_technology=_technology(answers, registration, identity or Identity()),
        attached=_first(answers, "attached", ("+CGATT",)),
        contexts=_contexts(answers),
        temperature_c=_first(answers, "temperature_c", tuple(answers)),
        network_time=when,
        network_time_boot_s=time_boot_s if when else None,
        utc_offset_minutes=_first(answers, "utc_offset_minutes", ("+QLTS", "^NWTIME", "+CCLK")),
        module_bytes_sent=_first(answers, "bytes_sent", COUNTER_SOURCES),
        module_bytes_received=_first(answers, "bytes_received", COUNTER_SOURCES),
    )


def _first(answers: Mapping[str, Answer], field: str, sources: tuple[str, ...]) -> Any:  # as its parser gives it
    """The first source that knows a field."""
    return next((v for s in sources if (v := (answers.get(s) or {}).get(field)) is not None), None)


def _sim(pin: Answer, card: Values, error: int | str | None) -> Sim:
    state = pin.get("state") or (_SIM_ERRORS.get(error, "failure") if isinstance(error, int) else None)
    lock = pin.get("lock") or (_SIM_LOCKS.get(str(state)) if state else None)
    return Sim(
        state=str(state) if state else None,
        lock=str(lock) if lock else None,
        **{name: card.get(name) for name in ("imsi", "iccid", "msisdn", "pin_attempts", "puk_attempts")},
    )


def _registration(answers: Mapping[str, Answer]) -> Registration:
    """A packet domain that is registered speaks for the module; else the one nearest to it; else the voice domain."""
    known = [(name, answers[name]) for name in DOMAIN_ORDER if name in answers]
    domains = {
        str(r["domain"]): {k: r.get(k) for k in ("stat", "state", "cause_type", "reject_cause")} for _, r in known
    }
    best = min(known, key=lambda item: standing(*item), default=None)
    if best is None:
        return Registration()
    chosen: Values = best[1]
    cause = chosen.get("reject_cause")
    if cause is None:
        cause = _first(answers, "reject_cause", tuple(name for name, _ in known))
    return Registration(
        stat=chosen["stat"],
        name=chosen.get("state"),
        roaming=chosen["stat"] in (5, 7, 10) if chosen["stat"] in (1, 5, 6, 7, 9, 10) else None,
        domain=chosen.get("domain"),
        reject_cause=cause,
        domains=domains,
        **{key: chosen.get(key) for key in ("lac", "tac", "ci", "act", "rac", "cause_type")},
    )


def _operator(answers: Mapping[str, Answer]) -> Operator:
    plmn = _first(answers, "plmn", ("+COPS", *CELL_SOURCES, "+QSPN"))
    return Operator(plmn=plmn, name=_first(answers, "operator", ("+COPS", "+QSPN", "^EONS", "#RFSTS", "^RFSTS")))


def _signal(answers: Mapping[str, Answer]) -> Signal:
    heard = [answer for name in SIGNAL_SOURCES if (answer := answers.get(name))]
    sinr: Values = next((a for key in ("sinr_db", "sinr_raw") for a in heard if a.get(key) is not None), {})
    level = ("rsrp_dbm", "rscp_dbm", "rssi_dbm")
    source = next((n for n in SIGNAL_SOURCES if any((answers.get(n) or {}).get(k) is not None for k in level)), None)
    nr = _first(answers, "nr", SIGNAL_SOURCES)
    carriers = _first(answers, "carriers", CARRIER_SOURCES) or ()
    return Signal(
        source=source,
        nr=nr,
        carriers=tuple(carriers),
        sinr_db=sinr.get("sinr_db"),
        sinr_raw=sinr.get("sinr_raw"),
        sinr_scale=sinr.get("sinr_scale"),
        **{field: _first(answers, field, SIGNAL_SOURCES) for field in _SIGNAL_FIELDS},
        **{field: _first(answers, field, CELL_SOURCES) for field in _CELL_FIELDS},
    )


def _technology(answers: Mapping[str, Answer], registration: Registration, identity: Identity) -> str | None:
    domains = _first(answers, "access_technology", ("+C5GREG", "+CEREG", "+CGREG", "+CREG", "+COPS"))
    if registration.registered is False and domains is None:
        return None
    maker = (identity.manufacturer or "").lower().split(maxsplit=1)[:1]
    own = MAKERS_ACCESS.get(maker[0], {}).get(registration.act or 0) if maker else None
    found = _first(answers, "access_technology", TECHNOLOGY_SOURCES) or domains or own
    return str(found) if found else None


def _contexts(answers: Mapping[str, Answer]) -> tuple[Context, ...]:
    """Defined contexts with the addresses the network gave them."""
    merged: dict[int, Context] = {}
    for name in ("+CGDCONT", "+CGACT", "+CGPADDR", "+CGCONTRDP"):
        for context in contexts_of(answers.get(name)):
            cid = context["cid"]
            entry = merged.setdefault(cid, {"cid": cid, "apn": None, "pdp_type": None, "address": None})
            new = {k: v for k, v in context.items() if v is not None or k not in entry}
            merged[cid] = cast("Context", {**entry, **new})
    return tuple(merged[cid] for cid in sorted(merged))


def _time(answers: Mapping[str, Answer], believable_from: datetime | None) -> datetime | None:
    """Network time with a known zone, not before the agent was built: a module that never synchronised lies."""
    for name in ("+QLTS", "^NWTIME", "+CCLK"):
        reading = answers.get(name) or {}
        stamp = reading.get("time")
        if isinstance(stamp, str) and (reading.get("utc_offset_minutes") is not None or name == "+QLTS"):
            when = datetime.fromisoformat(stamp)
            if believable_from is None or when >= believable_from:
                return when
    return None
