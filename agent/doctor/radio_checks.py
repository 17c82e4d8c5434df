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
        if modem.get("tried"):
            return fault(
                str(modem.get("reason")),
                "See 'modem-agent modem --ports' for what each port is; name the right one as modem.port, and send a "
                "bundle to support, so that the module is listed.",
                "usb-gone",
            )
        return fault(
            f"no modem on any port: {modem.get('reason') or 'none was found'}",
            "Check that the module is seated and its USB cable plugged in, and that it gets power (5 V, 2 A); "
            "then 'modem-agent reset power', or take the power away for ten seconds.",
            "usb-gone",
        )
    port = str(evidence.reading.get("port") or "the port is there and ours")
    if port.startswith("mmcli:"):
        return ok(f"ModemManager has it: the module is read through mmcli ({port[6:]}), and resets are asked of it")
    *before, chosen = [str(line) for line in modem.get("tried") or ("",)]
    if "not listed" in chosen:  # by nothing but its answer: what support needs to list the product
        port = chosen
    return ok(port if not before else f"{port}; tried before it: {'; '.join(before)}")


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
    if reason := str(modem.get("reason") or ""):
        return warning(
            f"{reason}; what follows was read before",
            "Wait: the modem answers again by itself, after three minutes at the most.",
            "modem-occupied",
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
        return _card(evidence)
    if state in ("SIM PIN", "SIM PUK"):
        attempts = sim.get("pin_attempts" if state == "SIM PIN" else "puk_attempts")
        return _locked(str(state), attempts, str((evidence.modem or {}).get("pin") or ""))
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


def _card(evidence: Evidence) -> Finding:
    """A card that works: is it the contract's, and the one that was there before?"""
    history = (evidence.modem or {}).get("sim") or {}
    swapped = f"{history.get('now')} in place of {history['before']}" if history.get("before") else ""
    if history.get("foreign"):
        return warning(
            f"ready, but not the contract's SIM ({swapped or history.get('now')}): its bytes are counted apart, and "
            "nothing is cut",
            "Put the contract's SIM back; where this one is meant, name it in plan.sim.",
            "foreign-sim",
        )
    return ok(f"ready; {swapped}, since {history.get('since')}" if swapped else "ready")


def _locked(state: str, attempts: object, refusal: str) -> Finding:
    plural = "" if attempts == 1 else "s"
    left = f", {attempts} attempt{plural} left" if isinstance(attempts, int) else ""
    if state == "SIM PUK":
        return fault(
            f"the SIM is blocked and wants its PUK{left}",
            "Ask support for the PUK and enter it with a telephone; ten wrong PUKs destroy the SIM.",
            "sim-locked",
        )
    if refusal:
        return fault(
            f"the SIM wants its PIN{left}; the agent does not enter it: {refusal}",
            "Give the right one with 'modem-agent pin', or switch the PIN off with a telephone. Where one attempt is "
            "left, enter it with a telephone: a wrong one blocks the SIM, and only the operator has its PUK.",
            "sim-locked",
        )
    return fault(
        f"the SIM wants its PIN{left}",
        "Give it with 'modem-agent pin', or switch the PIN off with a telephone. The agent enters a "
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
    heard = quality.overall(evidence.signal)
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
    values = evidence.signal
    heard = quality.overall(values)
    if heard is None:
        return unknown(_NO_MODEM if not evidence.reading else "the modem tells no signal")
    shown = ", ".join(
        f"{name.split('_')[0].upper()} {value:g} {quality.SCALES[name][0]}"
        for name, value in quality.levels(values).items()
        if value is not None
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
        return _conflict(evidence) or ok(f"attached with APN {active[0].get('apn') or '(the network chose)'}")
    defined = ", ".join(str(c.get("apn") or "(empty)") for c in contexts)
    return fault(
        f"no data context is active; APN in the module: {defined}",
        _apn_advice(evidence),
        "apn",
    )


def _conflict(evidence: Evidence) -> Finding | None:
    """Two places that name different access points: the one that dials counts."""
    for dialler in evidence.diallers:
        if evidence.apn and dialler.apn != evidence.apn:
            change = " && ".join(" ".join(command) for command in dialler.commands(evidence.apn))
            return warning(
                f"modem.apn is {evidence.apn}, but {dialler.owner} dials ({dialler.name}) with APN "
                f"{dialler.apn or '(none)'}, which counts",
                f"If {evidence.apn} is right: '{change}', then '{dialler.again}'; else change modem.apn.",
                "apn",
            )
    return None


def _apn_advice(evidence: Evidence) -> str:
    places = [f"{d.owner}'s APN ({d.name}: {d.apn or 'none'})" for d in evidence.diallers]
    return (
        f"Check {' and '.join(places) or 'modem.apn'} against the operator's APN ('modem-agent setup' changes it), and "
        "with support that the SIM has data; then 'modem-agent reset attach'."
    )


def _sim_usable(evidence: Evidence) -> bool:
    state = evidence.part("sim").get("state")
    return state is None or state in _SIM_USABLE
