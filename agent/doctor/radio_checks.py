"""The doctor's checks from the serial port to the packet attach: what the module and the network say. Pure."""

from __future__ import annotations

from agent import quality
from agent.at.standard.registration import PERMANENT_CAUSES, REGISTERED
from agent.doctor.evidence import Evidence
from agent.doctor.finding import Finding, fault, ok, unknown, warning
from agent.errors import PortDenied

_NO_MODEM = "not asked: there is no modem to ask"

# +CPIN states (27.007, 8.3). PIN2 and PUK2 guard phone-book features: data works.
_SIM_USABLE = frozenset({"READY", "SIM PIN2", "SIM PUK2"})
_HOME = frozenset({1, 6, 9})


def check_port(evidence: Evidence) -> Finding:
    modem = evidence.modem
    if modem is None:
        return unknown("nobody looked for the modem's serial port")
    reason = str(modem.get("reason") or "")
    if modem.get("state") == "busy" and PortDenied.WORDS in reason:
        return warning(
            reason,
            "Ask again with sudo. If the agent itself says so, its user must be in the group of the port (dialout).",
            "not-permitted",
        )
    if modem.get("state") == "busy":
        return fault(
            f"the modem's port is in other hands: {modem.get('reason') or 'another program uses it'}",
            f"Stop the other program (ModemManager: '{evidence.system.stop_modemmanager}'); the agent takes the port "
            "by itself once it is free.",
            "port-stolen",
        )
    if modem.get("state") == "absent":
        if evidence.online_by_wan:
            return warning(
                f"the line works, but no port speaks AT: {modem.get('reason') or 'none was found'}",
                "The agent counts and shapes; it cannot read the signal. Check modem.port, and that the kernel has the "
                "module's serial driver (option, qcserial, cdc_acm).",
                "usb-gone",
            )
        return fault(
            f"no modem on any port: {modem.get('reason') or 'none was found'}",
            "Check that the module is seated and its USB cable plugged in, and that it gets power (5 V, 2 A); "
            "then 'modem-agent reset power', or take the power away for ten seconds.",
            "usb-gone",
        )
    return ok(str(evidence.reading.get("port") or "the port is there and ours"))


def check_modem(evidence: Evidence) -> Finding:
    modem = evidence.modem
    if modem is None or modem.get("state") in ("absent", "busy"):
        return unknown(_NO_MODEM)
    if modem.get("state") == "hung":
        return fault(
            f"the modem does not answer: {modem.get('reason') or 'no reply to AT'}",
            "The agent resets it step by step; to hurry it: 'modem-agent reset module', then 'modem-agent reset "
            "power'. If it stays dead after power was cut, the module is broken: replace it.",
            "modem-hung",
        )
    identity = evidence.part("identity")
    name = " ".join(str(identity[k]) for k in ("manufacturer", "model", "revision") if identity.get(k))
    warm = evidence.reading.get("temperature_c")
    if isinstance(warm, (int, float)) and warm >= 80:
        return warning(
            f"{name or 'the modem'} answers, but it is {warm:g} C warm",
            "Give it air and shade; at about 90 C it slows down or leaves the network.",
            "modem-hot",
        )
    return ok(name or "answers")


def check_sim(evidence: Evidence) -> Finding:
    sim = evidence.part("sim")
    state = sim.get("state")
    if state is None:
        return unknown(_NO_MODEM if not evidence.reading else "the modem did not say how its SIM is")
    if state in _SIM_USABLE:
        return ok("ready")
    if state in ("SIM PIN", "SIM PUK"):
        return _locked(str(state), sim.get("pin_attempts"))
    if str(state).startswith("PH-"):
        return fault(
            f"the module is locked to another SIM or network ({state})",
            "The module itself is locked: it needs its unlock code or must be replaced. The SIM is not at fault.",
            "sim-locked",
        )
    if state == "not-inserted":
        return fault(
            "there is no SIM in the modem, or it has no contact",
            "Take the SIM out, wipe it, push it in until it clicks (contacts down); if it stays missing, try another.",
            "sim-missing",
        )
    if state == "busy":
        return warning("the SIM is still starting", "Wait half a minute and ask again.", "sim-missing")
    return fault(
        f"the SIM cannot be used ({state})",
        "Try the SIM in a telephone; if it fails there too, have it replaced.",
        "sim-missing",
    )


def _locked(state: str, attempts: object) -> Finding:
    left = f", {attempts} attempts left" if isinstance(attempts, int) else ""
    if state == "SIM PUK":
        return fault(
            f"the SIM is blocked and wants its PUK{left}",
            "Ask support for the PUK and enter it with a telephone; ten wrong PUKs destroy the SIM.",
            "sim-locked",
        )
    return fault(
        f"the SIM wants its PIN{left}",
        "Put the PIN into the file named by modem.pin_file, or switch the PIN off with a telephone. The agent tries a "
        "PIN once and never uses up the last attempt.",
        "sim-locked",
    )


def check_registration(evidence: Evidence) -> Finding:
    registration = evidence.part("registration")
    stat = registration.get("stat")
    if stat is None:
        return unknown(_NO_MODEM if not evidence.reading else "the modem did not say whether it is registered")
    if not _sim_usable(evidence):
        return unknown("a module without a usable SIM cannot register")
    operator = evidence.part("operator")
    name = operator.get("name") or operator.get("plmn") or "the network"
    if stat in REGISTERED:
        if stat in _HOME:
            return ok(f"at home on {name}, {evidence.reading.get('access_technology') or 'technology unknown'}")
        return warning(
            f"roaming on {name}: this is not the operator of the SIM",
            "Near the border, turn the antenna towards home; otherwise ask support whether roaming is meant.",
            "roaming",
        )
    if stat == 3 or registration.get("reject_cause") in PERMANENT_CAUSES:
        return _denied(registration.get("reject_cause"), str(name))
    if stat == 8:
        return fault(
            "the network allows emergency calls only",
            "Ask support whether the SIM is active and allowed here; a reset does not help.",
            "registration-denied",
        )
    if evidence.online_by_wan:
        return ok(f"{registration.get('name') or stat} by the module's own word, yet data flows")
    return _searching(evidence)


def _denied(cause: object, name: str) -> Finding:
    why = f" (reject cause {cause})" if cause is not None else ""
    permanent = cause is None or cause in PERMANENT_CAUSES
    return fault(
        f"{name} refuses this SIM{why}",
        "Ask support whether the SIM is active, paid for and allowed on this network; a reset does not help."
        if permanent
        else "The network is busy or at fault: wait ten minutes and ask again; a reset does not help.",
        "registration-denied",
    )


def _searching(evidence: Evidence) -> Finding:
    heard = quality.overall(evidence.part("signal"))
    if heard is None or heard == "bad":
        return fault(
            "no network is heard" if heard is None else "the network is too faint to register",
            "Check that the antennas are screwed on, then move or turn them with 'modem-agent signal --watch'. "
            "A reset does not bring coverage.",
            "no-coverage",
        )
    return fault(
        f"not registered, though a network is heard ({heard})",
        "Give it two minutes. Then check with support that the SIM is active and that no band or operator is locked "
        "out; 'modem-agent reset radio' makes it search anew.",
        "not-registered",
    )


def check_signal(evidence: Evidence) -> Finding:
    values = evidence.part("signal")
    heard = quality.overall(values)
    if heard is None:
        return unknown(_NO_MODEM if not evidence.reading else "the modem tells no signal")
    shown = ", ".join(
        f"{name.split('_')[0].upper()} {values[name]:g} {quality.SCALES[name][0]}"
        for name in ("rsrp_dbm", "rsrq_db", "sinr_db", "rssi_dbm")
        if values.get(name) is not None
    )
    if heard not in ("bad", "weak"):
        return ok(f"{heard}: {shown}")
    return warning(
        f"{heard}: {shown}",
        "Aim the antenna with 'modem-agent signal --watch': a window towards the mast, high up, away from metal. "
        + ("The line is slow and breaks off." if heard == "bad" else "The line is slower than it could be."),
        "weak-signal",
    )


def check_attach(evidence: Evidence) -> Finding:
    if not _sim_usable(evidence) or evidence.part("registration").get("stat") not in REGISTERED:
        return unknown("not asked: the module is not registered")
    if evidence.reading.get("attached") is False:
        return fault(
            "registered, but not attached to the packet network",
            "Check with support that the SIM has data; then 'modem-agent reset attach'.",
            "apn",
        )
    contexts = evidence.reading.get("contexts")
    if not contexts:
        return unknown("the modem tells no packet data contexts")
    active = [c for c in contexts if c.get("active") or c.get("address")]
    if active:
        return ok(f"attached with APN {active[0].get('apn') or '(the network chose)'}")
    defined = ", ".join(str(c.get("apn") or "(empty)") for c in contexts)
    return fault(
        f"no data context is active; APN in the module: {defined}",
        "Check modem.apn against the operator's APN, and with support that the SIM has data; then "
        "'modem-agent reset attach'.",
        "apn",
    )


def _sim_usable(evidence: Evidence) -> bool:
    state = evidence.part("sim").get("state")
    return state is None or state in _SIM_USABLE
